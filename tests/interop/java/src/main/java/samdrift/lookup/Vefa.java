package samdrift.lookup;

import java.security.GeneralSecurityException;
import java.security.cert.X509Certificate;

import com.helger.json.IJsonObject;
import com.helger.json.JsonArray;
import com.helger.json.JsonObject;
import com.google.common.io.BaseEncoding;
import network.oxalis.vefa.peppol.common.code.Service;
import network.oxalis.vefa.peppol.common.model.DocumentTypeIdentifier;
import network.oxalis.vefa.peppol.common.model.Endpoint;
import network.oxalis.vefa.peppol.common.model.ParticipantIdentifier;
import network.oxalis.vefa.peppol.common.model.ProcessIdentifier;
import network.oxalis.vefa.peppol.common.model.Scheme;
import network.oxalis.vefa.peppol.common.model.ServiceReference;
import network.oxalis.vefa.peppol.common.model.TransportProfile;
import network.oxalis.vefa.peppol.lookup.LookupClient;
import network.oxalis.vefa.peppol.lookup.LookupClientBuilder;
import network.oxalis.vefa.peppol.lookup.locator.BdxlLocator;
import network.oxalis.vefa.peppol.security.lang.PeppolSecurityException;

import samdrift.Encoded;

/** peppol-lookup of vefa and Oxalis, which verifies signatures and has its caller judge certificates. */
final class Vefa {
    private final IJsonObject request;
    private final ParticipantIdentifier participant;
    private final DocumentTypeIdentifier document;
    private final ProcessIdentifier process;

    Vefa(IJsonObject request) {
        this.request = request;
        participant = ParticipantIdentifier.of(
            request.getAsString("participant"), Scheme.of(request.getAsString("participant_scheme")));
        document = DocumentTypeIdentifier.of(
            request.getAsString("document"), Scheme.of(request.getAsString("document_scheme")));
        process = ProcessIdentifier.of(
            request.getAsString("process"), Scheme.of(request.getAsString("process_scheme")));
    }

    IJsonObject look() throws Exception {
        X509Certificate issuer = Encoded.certificate(request, "issuer");
        LookupClient client = LookupClientBuilder.forTest()
            .locator(new BdxlLocator("", request.getAsString("zone"), "SHA-256", BaseEncoding.base32().omitPadding()))
            .certificateValidator((service, certificate) -> {
                if (service == Service.SMP) {
                    requireIssued(certificate, issuer);
                }
            })
            .build();
        JsonArray services = new JsonArray();
        for (ServiceReference reference : client.getServiceReferences(participant)) {
            services.add(reference.getDocumentTypeIdentifier().toString());
        }
        Endpoint endpoint = client.getEndpoint(
            participant, document, process, TransportProfile.of(request.getAsString("profile")));
        return new JsonObject()
            .add("services", services)
            .add("address", endpoint.getAddress().toString())
            .add("certificate", Encoded.text(endpoint.getCertificate()));
    }

    private static void requireIssued(X509Certificate certificate, X509Certificate issuer)
        throws PeppolSecurityException {
        try {
            certificate.verify(issuer.getPublicKey());
        } catch (GeneralSecurityException exception) {
            throw new PeppolSecurityException("not of the trusted issuer", exception);
        }
    }
}
