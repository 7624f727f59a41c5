// An organisation's authorisation server: oidc-provider with client credentials and signed JWTs.
//
// Reads its settings as one JSON document from standard input, prints its issuer when it listens, and
// ends when standard input does. Tokens are for the resource that is asked for, as JWTs (RFC 9068).

import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';
import process from 'node:process';

import Provider from 'oidc-provider';

const lines = createInterface({ input: process.stdin });
const settings = JSON.parse((await once(lines, 'line'))[0]);
lines.on('close', () => process.exit());

function signingKey(algorithm) {
  const { privateKey } = algorithm === 'ES256'
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: algorithm, kid: algorithm };
}

const authId = Object.fromEntries(settings.clients.map(({ id, auth_id: value }) => [id, value]));

const configuration = {
  clients: settings.clients.map(({ id, jwks }) => ({
    client_id: id,
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'ES256',
    jwks,
  })),
  clientAuthMethods: ['private_key_jwt'],
  scopes: settings.scopes,
  jwks: { keys: ['ES256', 'RS256', 'PS256'].map(signingKey) },
  extraTokenClaims: (context, token) => ({ [settings.claim]: authId[token.clientId] }),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (context, resource) => ({
        audience: resource,
        scope: settings.scopes.join(' '),
        accessTokenTTL: 600,
        accessTokenFormat: resource.endsWith('/opaque') ? 'opaque' : 'jwt',
        jwt: { sign: { alg: settings.algorithm } },
      }),
    },
  },
};

const server = createServer({ cert: settings.certificate, key: settings.key });
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const provider = new Provider(`https://localhost:${server.address().port}`, configuration);
server.on('request', provider.callback());
process.stdout.write(`${provider.issuer}\n`);
