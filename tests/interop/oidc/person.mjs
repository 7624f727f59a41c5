// An organisation's sign-in service for people: oidc-provider with the code flow, PKCE and both kinds of logout.
//
// Reads its settings as one JSON document from standard input, prints its issuer when it listens, and
// ends when standard input does. Whoever comes is signed in as the person of the settings, at once.

import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:https';
import { createInterface } from 'node:readline';
import process from 'node:process';

import Provider from 'oidc-provider';

const lines = createInterface({ input: process.stdin });
const settings = JSON.parse((await once(lines, 'line'))[0]);
lines.on('close', () => process.exit());

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });

const configuration = {
  clients: settings.clients,
  clientAuthMethods: ['client_secret_basic', 'private_key_jwt'],
  acrValues: [settings.level, settings.other],
  claims: { openid: ['sub', 'acr'], profile: ['name'], acr: null, auth_time: null, sid: null },
  conformIdTokenClaims: false,
  cookies: { keys: ['only for this test'] },
  findAccount: (context, id) => ({ accountId: id, claims: () => ({ sub: id, name: settings.name }) }),
  interactions: { url: (context, interaction) => `/interaction/${interaction.uid}` },
  jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), use: 'sig', alg: 'ES256', kid: 'first' }] },
  // Its own guard against addresses of this machine would stop the notice to a site of the test.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  pkce: { required: () => true },
  features: {
    backchannelLogout: { enabled: true },
    devInteractions: { enabled: false },
    rpInitiatedLogout: {
      enabled: true,
      logoutSource: (context, form) => {
        context.body = `<!doctype html><title>Logout</title>${form}<button form="op.logoutForm" name="logout" value="yes">Yes</button>`;
      },
    },
  },
  async loadExistingGrant(context) {
    const grant = new context.oidc.provider.Grant({
      accountId: context.oidc.session.accountId,
      clientId: context.oidc.client.clientId,
    });
    grant.addOIDCScope('openid profile');
    await grant.save();
    return grant;
  },
};

const server = createServer({ cert: settings.certificate, key: settings.key });
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const provider = new Provider(`https://localhost:${server.address().port}`, configuration);
const answer = provider.callback();
server.on('request', async (request, response) => {
  if (!request.url.startsWith('/interaction/')) {
    answer(request, response);
    return;
  }
  const { params } = await provider.interactionDetails(request, response);
  const acr = params.client_id === 'low' ? settings.other : settings.level;
  await provider.interactionFinished(
    request,
    response,
    { login: { accountId: settings.person, acr, amr: ['hwk'] } },
    { mergeWithLastSubmission: false },
  );
});
process.stdout.write(`${provider.issuer}\n`);
