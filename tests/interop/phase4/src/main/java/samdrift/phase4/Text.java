package samdrift.phase4;

import java.security.cert.X509Certificate;
import javax.naming.InvalidNameException;
import javax.naming.ldap.LdapName;

/** Short texts for reports. */
final class Text {
    private Text() {}

    /** The common name in a certificate, or null without certificate. */
    static String commonName(X509Certificate certificate) {
        if (certificate == null) {
            return null;
        }
        try {
            return new LdapName(certificate.getSubjectX500Principal().getName()).getRdns().stream()
                .filter(part -> part.getType().equalsIgnoreCase("CN"))
                .map(part -> part.getValue().toString())
                .findFirst()
                .orElse(null);
        } catch (InvalidNameException exception) {
            throw new IllegalStateException(exception);
        }
    }

    /** The messages of an exception and of what caused it. */
    static String causes(Throwable exception) {
        StringBuilder text = new StringBuilder();
        for (Throwable cause = exception; cause != null; cause = cause.getCause()) {
            text.append(text.isEmpty() ? "" : ": ").append(cause.getMessage());
        }
        return text.toString();
    }
}
