package samdrift.oxalis;

import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Map;

import network.oxalis.api.settings.Settings;
import network.oxalis.as4.common.MerlinProvider;
import network.oxalis.commons.security.KeyStoreConf;
import org.apache.wss4j.common.crypto.Merlin;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

/** The key and certificate that both halves of Oxalis use, and the issuers in its trust store. */
final class Identity extends MerlinProvider {
    private static final String ALIAS = "own";
    private static final String PASSWORD = "in memory only";

    final X509Certificate certificate;
    private final Merlin crypto = new Merlin();

    Identity(PrivateKey key, X509Certificate certificate, List<X509Certificate> trusted) throws Exception {
        this.certificate = certificate;
        KeyStore own = empty();
        own.setKeyEntry(ALIAS, key, PASSWORD.toCharArray(), new Certificate[] {certificate});
        KeyStore issuers = empty();
        for (X509Certificate issuer : trusted) {
            issuers.setCertificateEntry("issuer " + issuers.size(), issuer);
        }
        crypto.setCryptoProvider(BouncyCastleProvider.PROVIDER_NAME);
        crypto.setKeyStore(own);
        crypto.setTrustStore(issuers);
    }

    @Override
    public Merlin getMerlin() {
        return crypto;
    }

    Settings<KeyStoreConf> keyStore() {
        return settings(Map.of(KeyStoreConf.KEY_ALIAS, ALIAS, KeyStoreConf.KEY_PASSWORD, PASSWORD));
    }

    static <T> Settings<T> settings(Map<T, String> values) {
        return new Settings<>() {
            @Override
            public String getString(T key) {
                return values.get(key);
            }

            @Override
            public int getInt(T key) {
                return Integer.parseInt(values.get(key));
            }
        };
    }

    private static KeyStore empty() throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, PASSWORD.toCharArray());
        return store;
    }
}
