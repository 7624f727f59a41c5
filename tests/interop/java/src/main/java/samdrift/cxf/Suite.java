package samdrift.cxf;

import java.util.List;
import javax.xml.namespace.QName;

import org.apache.cxf.Bus;
import org.apache.cxf.ws.policy.AssertionBuilderRegistry;
import org.apache.cxf.ws.policy.builder.primitive.PrimitiveAssertionBuilder;
import org.apache.cxf.ws.security.policy.custom.AlgorithmSuiteLoader;
import org.apache.neethi.Assertion;
import org.apache.neethi.Policy;
import org.apache.wss4j.policy.SPConstants;
import org.apache.wss4j.policy.model.AbstractSecurityAssertion;
import org.apache.wss4j.policy.model.AlgorithmSuite;

/**
 * The algorithms of the eDelivery AS4 common profile, which WS-SecurityPolicy has no suite for: RSA-SHA256,
 * AES-128-GCM, and RSA-OAEP with SHA-256 in both places.
 */
final class Suite extends AlgorithmSuite {
    private static final QName NAME = new QName("urn:samdrift:test:policy", "EDeliveryAs4");
    private static final String XMLENC11 = "http://www.w3.org/2009/xmlenc11#";

    private Suite(SPConstants.SPVersion version, Policy nested) {
        super(version, nested);
    }

    /** Makes {@code EDeliveryAs4} known to policies. */
    static AlgorithmSuiteLoader loader(Bus bus) {
        bus.getExtension(AssertionBuilderRegistry.class).registerBuilder(new PrimitiveAssertionBuilder(List.of(NAME)));
        return (user, version, nested) -> new Suite(version, nested);
    }

    @Override
    protected AbstractSecurityAssertion cloneAssertion(Policy nested) {
        return new Suite(getVersion(), nested);
    }

    @Override
    protected void parseCustomAssertion(Assertion assertion) {
        if (!NAME.equals(assertion.getName())) {
            return;
        }
        AlgorithmSuiteType type = new AlgorithmSuiteType(
            NAME.getLocalPart(), SPConstants.SHA256, XMLENC11 + "aes128-gcm", SPConstants.KW_AES128,
            XMLENC11 + "rsa-oaep", SPConstants.P_SHA1_L128, SPConstants.P_SHA1_L128, 128, 128, 128, 256, 2048, 4096);
        type.setNamespace(NAME.getNamespaceURI());
        type.setAsymmetricSignature(SPConstants.RSA_SHA256);
        type.setEncryptionDigest(SPConstants.SHA256);
        type.setMGFAlgo(XMLENC11 + "mgf1sha256");
        setAlgorithmSuiteType(type);
    }
}
