package samdrift.cxf;

import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.util.HashMap;
import java.util.Map;
import javax.security.auth.callback.Callback;
import javax.security.auth.callback.CallbackHandler;

import org.apache.cxf.ws.security.SecurityConstants;
import org.apache.wss4j.common.crypto.Merlin;
import org.apache.wss4j.common.ext.WSPasswordCallback;

/** The properties by which CXF signs, decrypts and trusts as one access point. */
final class Security {
    private static final String ALIAS = "own";
    private static final String PASSWORD = "in memory only";

    private Security() {}

    static Map<String, Object> properties(PrivateKey key, X509Certificate certificate, X509Certificate issuer)
        throws Exception {
        KeyStore own = empty();
        own.setKeyEntry(ALIAS, key, PASSWORD.toCharArray(), new Certificate[] {certificate});
        KeyStore trusted = empty();
        trusted.setCertificateEntry("issuer", issuer);
        Merlin crypto = new Merlin();
        crypto.setKeyStore(own);
        crypto.setTrustStore(trusted);
        Map<String, Object> properties = new HashMap<>();
        properties.put(SecurityConstants.SIGNATURE_CRYPTO, crypto);
        properties.put(SecurityConstants.ENCRYPT_CRYPTO, crypto);
        properties.put(SecurityConstants.SIGNATURE_USERNAME, ALIAS);
        properties.put(SecurityConstants.CALLBACK_HANDLER, (CallbackHandler) Security::tellPassword);
        return properties;
    }

    private static void tellPassword(Callback[] callbacks) {
        for (Callback callback : callbacks) {
            if (callback instanceof WSPasswordCallback asked) {
                asked.setPassword(PASSWORD);
            }
        }
    }

    private static KeyStore empty() throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, PASSWORD.toCharArray());
        return store;
    }
}
