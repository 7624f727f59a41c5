package samdrift.oxalis;

import java.io.ByteArrayInputStream;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;

import com.typesafe.config.Config;

/** Bytes, keys and certificates as they come in a request: in base64. */
final class Encoded {
    private Encoded() {}

    static byte[] bytes(Config request, String name) {
        return Base64.getDecoder().decode(request.getString(name));
    }

    static String text(byte[] bytes) {
        return Base64.getEncoder().encodeToString(bytes);
    }

    static PrivateKey key(Config request, String name) throws GeneralSecurityException {
        return KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(bytes(request, name)));
    }

    static X509Certificate certificate(Config request, String name) throws GeneralSecurityException {
        return (X509Certificate) CertificateFactory.getInstance("X.509")
            .generateCertificate(new ByteArrayInputStream(bytes(request, name)));
    }
}
