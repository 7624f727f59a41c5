package samdrift;

import java.io.ByteArrayInputStream;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PrivateKey;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;

import com.helger.json.IJsonObject;

/** Values of a call that travel in base64. */
public final class Encoded {
    private Encoded() {}

    public static byte[] bytes(IJsonObject request, String name) {
        return Base64.getDecoder().decode(request.getAsString(name));
    }

    public static PrivateKey key(IJsonObject request, String name) throws GeneralSecurityException {
        return KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(bytes(request, name)));
    }

    public static X509Certificate certificate(IJsonObject request, String name) throws GeneralSecurityException {
        return (X509Certificate) CertificateFactory.getInstance("X.509")
            .generateCertificate(new ByteArrayInputStream(bytes(request, name)));
    }

    public static String text(byte[] bytes) {
        return Base64.getEncoder().encodeToString(bytes);
    }

    public static String text(X509Certificate certificate) throws GeneralSecurityException {
        return text(certificate.getEncoded());
    }
}
