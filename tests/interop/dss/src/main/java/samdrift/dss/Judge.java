package samdrift.dss;

import eu.europa.esig.dss.diagnostic.DiagnosticData;
import eu.europa.esig.dss.diagnostic.TimestampWrapper;
import eu.europa.esig.dss.model.DSSException;
import eu.europa.esig.dss.model.FileDocument;
import eu.europa.esig.dss.model.x509.CertificateToken;
import eu.europa.esig.dss.spi.DSSUtils;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.CommonTrustedCertificateSource;
import eu.europa.esig.dss.validation.SignedDocumentValidator;
import eu.europa.esig.dss.validation.reports.Reports;
import java.io.File;

/**
 * What the European Commission's DSS says of containers: {@code ROOT CONTAINER...}, a line each. Nothing is fetched: the
 * root is trusted, and whether certificates are revoked is not asked.
 */
public final class Judge {
    private Judge() {}

    public static void main(String[] arguments) {
        CommonTrustedCertificateSource trusted = new CommonTrustedCertificateSource();
        CertificateToken root = DSSUtils.loadCertificate(new File(arguments[0]));
        trusted.addCertificate(root);
        CommonCertificateVerifier verifier = new CommonCertificateVerifier();
        verifier.setTrustedCertSources(trusted);
        for (int each = 1; each < arguments.length; each++) {
            System.out.println(judged(arguments[each], verifier));
        }
    }

    private static String judged(String path, CommonCertificateVerifier verifier) {
        Reports reports;
        try {
            SignedDocumentValidator validator = SignedDocumentValidator.fromDocument(new FileDocument(path));
            validator.setCertificateVerifier(verifier);
            reports = validator.validateDocument();
        } catch (DSSException | IllegalArgumentException | UnsupportedOperationException refused) {
            return "refused";
        }
        DiagnosticData data = reports.getDiagnosticData();
        StringBuilder said = new StringBuilder();
        said.append(data.getContainerType()).append(" ").append(data.getMimetypeFileContent());
        for (TimestampWrapper stamp : data.getTimestampList()) {
            said.append(" imprint=").append(stamp.isMessageImprintDataFound() && stamp.isMessageImprintDataIntact());
            said.append(" signature=").append(stamp.isSignatureIntact() && stamp.isSignatureValid());
            said.append(" trusted=").append(stamp.isTrustedChain());
            said.append(" over=");
            stamp.getTimestampScopes().forEach(scope -> said.append(scope.getName()).append(","));
            said.append(" indication=").append(reports.getSimpleReport().getIndication(stamp.getId()));
            said.append(" sub=").append(reports.getSimpleReport().getSubIndication(stamp.getId()));
        }
        return said.toString();
    }
}
