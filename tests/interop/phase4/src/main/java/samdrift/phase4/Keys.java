package samdrift.phase4;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

import com.helger.phase4.crypto.AS4CryptoFactoryInMemoryKeyStore;
import com.helger.phase4.crypto.IAS4CryptoFactory;

/** Keys and certificates in PEM, turned into what phase4 and TLS take. */
final class Keys {
    private static final String ALIAS = "own";
    private static final char[] PASSWORD = "in memory only".toCharArray();

    private Keys() {}

    /** An identity of an access point, and the authorities whose certificates it accepts. */
    static IAS4CryptoFactory accessPoint(String key, String certificate, String issuers) throws Exception {
        return new AS4CryptoFactoryInMemoryKeyStore(identity(key, certificate), ALIAS, PASSWORD, trusting(issuers));
    }

    /** TLS with a server's identity that trusts servers of {@code issuers}. */
    static SSLContext tls(String key, String certificate, String issuers) throws Exception {
        KeyManagerFactory own = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
        own.init(identity(key, certificate), PASSWORD);
        TrustManagerFactory others = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        others.init(trusting(issuers));
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(own.getKeyManagers(), others.getTrustManagers(), null);
        return context;
    }

    static X509Certificate certificate(String pem) throws GeneralSecurityException {
        return (X509Certificate) certificates(pem).iterator().next();
    }

    private static KeyStore identity(String key, String certificate) throws Exception {
        KeyStore store = emptyStore();
        store.setKeyEntry(ALIAS, privateKey(key), PASSWORD, certificates(certificate).toArray(Certificate[]::new));
        return store;
    }

    private static KeyStore trusting(String issuers) throws Exception {
        KeyStore store = emptyStore();
        for (Certificate issuer : certificates(issuers)) {
            store.setCertificateEntry("issuer-" + store.size(), issuer);
        }
        return store;
    }

    private static KeyStore emptyStore() throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, PASSWORD);
        return store;
    }

    private static Collection<? extends Certificate> certificates(String pem) throws GeneralSecurityException {
        byte[] bytes = pem.getBytes(StandardCharsets.US_ASCII);
        return CertificateFactory.getInstance("X.509").generateCertificates(new ByteArrayInputStream(bytes));
    }

    private static PrivateKey privateKey(String pem) throws GeneralSecurityException {
        byte[] der = Base64.getMimeDecoder().decode(pem.replaceAll("-----[A-Z ]+-----", ""));
        return KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(der));
    }
}
