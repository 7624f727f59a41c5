package samdrift.lookup;

import java.io.ByteArrayInputStream;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import jakarta.xml.bind.JAXBContext;

import org.w3c.dom.Node;

import com.helger.json.IJsonObject;
import com.helger.json.JsonArray;
import com.helger.json.JsonObject;
import com.helger.peppol.smp.SMPTransportProfile;
import com.helger.peppolid.IDocumentTypeIdentifier;
import com.helger.peppolid.IParticipantIdentifier;
import com.helger.peppolid.IProcessIdentifier;
import com.helger.peppolid.factory.SimpleIdentifierFactory;
import com.helger.smpclient.bdxr1.BDXRClientReadOnly;
import com.helger.smpclient.url.BDXLURLProvider;
import com.helger.xsds.bdxr.smp1.EndpointType;
import com.helger.xsds.bdxr.smp1.ExtensionType;
import com.helger.xsds.bdxr.smp1.ServiceMetadataReferenceType;
import com.helger.xsds.bdxr.smp1.ServiceInformationType;
import com.helger.xsds.bdxr.smp1.SignedServiceMetadataType;
import com.helger.xsds.bdxr.smp2.ac.CertificateType;

import samdrift.Encoded;

/** peppol-smp-client, which verifies signatures against a trust store of its caller's. */
final class PeppolCommons {
    private final IJsonObject request;
    private final IParticipantIdentifier participant;
    private final IDocumentTypeIdentifier document;
    private final IProcessIdentifier process;

    PeppolCommons(IJsonObject request) {
        SimpleIdentifierFactory identifiers = SimpleIdentifierFactory.INSTANCE;
        this.request = request;
        participant = identifiers.createParticipantIdentifier(
            request.getAsString("participant_scheme"), request.getAsString("participant"));
        document = identifiers.createDocumentTypeIdentifier(
            request.getAsString("document_scheme"), request.getAsString("document"));
        process = identifiers.createProcessIdentifier(
            request.getAsString("process_scheme"), request.getAsString("process"));
    }

    IJsonObject look() throws Exception {
        BDXRClientReadOnly client = new BDXRClientReadOnly(
            new BDXLURLProvider(), participant, request.getAsString("zone") + ".");
        client.setVerifySignature(true);
        client.setXMLSchemaValidation(true);
        client.setTrustStore(trusting(Encoded.certificate(request, "issuer")));
        JsonArray services = new JsonArray();
        for (ServiceMetadataReferenceType reference : client.getServiceGroup(participant)
            .getServiceMetadataReferenceCollection().getServiceMetadataReference()) {
            services.add(reference.getHref());
        }
        SignedServiceMetadataType metadata = client.getServiceMetadata(participant, document);
        EndpointType endpoint = BDXRClientReadOnly.getEndpoint(
            metadata, process, new SMPTransportProfile(request.getAsString("profile"), "AS4"));
        return new JsonObject()
            .add("smp", client.getSMPHostURI())
            .add("services", services)
            .add("address", BDXRClientReadOnly.getEndpointAddress(endpoint))
            .add("certificate", Encoded.text(BDXRClientReadOnly.getEndpointCertificate(endpoint)))
            .add("published", published(metadata.getServiceMetadata().getServiceInformation()));
    }

    /** The certificates of CertPub, read with the library's own types of SMP 2. */
    private static JsonObject published(ServiceInformationType information) throws Exception {
        JAXBContext types = JAXBContext.newInstance(CertificateType.class);
        JsonObject published = new JsonObject();
        for (ExtensionType extension : information.getExtension()) {
            CertificateType certificate = types.createUnmarshaller()
                .unmarshal((Node) extension.getAny(), CertificateType.class).getValue();
            byte[] der = certificate.getContentBinaryObjectValue();
            published.add(certificate.getTypeCodeValue(), Encoded.text((X509Certificate) CertificateFactory
                .getInstance("X.509").generateCertificate(new ByteArrayInputStream(der))));
        }
        return published;
    }

    private static KeyStore trusting(X509Certificate issuer) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        store.setCertificateEntry("issuer", issuer);
        return store;
    }
}
