package samdrift.cxf;

import java.io.InputStream;
import java.util.Collection;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.zip.GZIPInputStream;

import jakarta.xml.soap.SOAPMessage;
import jakarta.xml.ws.BindingType;
import jakarta.xml.ws.Provider;
import jakarta.xml.ws.Service;
import jakarta.xml.ws.ServiceMode;
import jakarta.xml.ws.WebServiceProvider;
import jakarta.xml.ws.soap.SOAPBinding;
import org.apache.cxf.message.Attachment;
import org.apache.cxf.phase.PhaseInterceptorChain;

import com.helger.json.IJsonObject;
import com.helger.json.JsonArray;
import com.helger.json.JsonObject;

import samdrift.Encoded;

/** Keeps what came through the policy, and answers with a receipt, which the policy has signed. */
@WebServiceProvider(
    serviceName = "As4", portName = "As4Port", targetNamespace = "urn:samdrift:test:cxf")
@ServiceMode(Service.Mode.MESSAGE)
@BindingType(SOAPBinding.SOAP12HTTP_BINDING)
final class Receiver implements Provider<SOAPMessage> {
    private final Queue<IJsonObject> received = new ConcurrentLinkedQueue<>();

    @Override
    public SOAPMessage invoke(SOAPMessage message) {
        try {
            JsonArray payloads = new JsonArray();
            Collection<Attachment> attachments = PhaseInterceptorChain.getCurrentMessage().getAttachments();
            for (Attachment attachment : attachments) {
                try (InputStream content = new GZIPInputStream(attachment.getDataHandler().getInputStream())) {
                    payloads.add(Encoded.text(content.readAllBytes()));
                }
            }
            SOAPMessage receipt = Ebms.receipt(message);
            received.add(new JsonObject().add("message_id", Ebms.messageId(message)).add("payloads", payloads));
            return receipt;
        } catch (Exception exception) {
            throw new IllegalStateException(exception);
        }
    }

    /** What came since the last call. */
    JsonArray drain() {
        JsonArray drained = new JsonArray();
        for (IJsonObject one = received.poll(); one != null; one = received.poll()) {
            drained.add(one);
        }
        return drained;
    }
}
