package samdrift.phase4;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.Locale;
import java.util.Set;

import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.w3c.dom.NodeList;

import com.helger.collection.commons.ICommonsList;
import com.helger.http.header.HttpHeaderMap;
import com.helger.json.IJsonObject;
import com.helger.json.JsonArray;
import com.helger.json.JsonObject;
import com.helger.phase4.attachment.WSS4JAttachment;
import com.helger.phase4.ebms3header.Ebms3CollaborationInfo;
import com.helger.phase4.ebms3header.Ebms3Property;
import com.helger.phase4.ebms3header.Ebms3SignalMessage;
import com.helger.phase4.ebms3header.Ebms3UserMessage;
import com.helger.phase4.error.AS4ErrorList;
import com.helger.phase4.incoming.IAS4IncomingMessageMetadata;
import com.helger.phase4.incoming.IAS4IncomingMessageState;
import com.helger.phase4.incoming.spi.AS4MessageProcessorResult;
import com.helger.phase4.incoming.spi.AS4SignalMessageProcessorResult;
import com.helger.phase4.incoming.spi.IAS4IncomingMessageProcessorSPI;
import com.helger.phase4.model.error.EEbmsError;
import com.helger.phase4.model.message.MessageHelperMethods;
import com.helger.phase4.model.pmode.IPMode;

/**
 * Takes messages that phase4 verified and decrypted, and writes down what it found.
 *
 * One JSON object a line in received.jsonl, each payload in a file of its own. phase4 itself accepts messages
 * that are neither signed nor encrypted; this does not.
 */
final class Inbox implements IAS4IncomingMessageProcessorSPI {
    private static final String WSU =
        "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";

    private final Path folder;
    private final Set<String> recipients;

    Inbox(Path folder, Set<String> recipients) {
        this.folder = folder;
        this.recipients = recipients;
    }

    @Override
    public AS4MessageProcessorResult processAS4UserMessage(
        IAS4IncomingMessageMetadata metadata, HttpHeaderMap headers, Ebms3UserMessage message, IPMode mode,
        Node body, ICommonsList<WSS4JAttachment> attachments, IAS4IncomingMessageState state, AS4ErrorList errors) {
        if (!state.isSoapSignatureChecked() || !state.isSoapDecrypted()) {
            return refused(errors, EEbmsError.EBMS_POLICY_NONCOMPLIANCE, "NOT_PROTECTED", state);
        }
        if (!recipients.contains(property(message, "finalRecipient"))) {
            return refused(errors, EEbmsError.EBMS_OTHER, "NOT_SERVICED", state);
        }
        try {
            record(message, attachments.getFirstOrNull(), state);
        } catch (IOException exception) {
            return refused(errors, EEbmsError.EBMS_OTHER, "NOT_STORED", state);
        }
        return AS4MessageProcessorResult.createSuccess();
    }

    @Override
    public AS4SignalMessageProcessorResult processAS4SignalMessage(
        IAS4IncomingMessageMetadata metadata, HttpHeaderMap headers, Ebms3SignalMessage signal, IPMode mode,
        IAS4IncomingMessageState state, AS4ErrorList errors) {
        return AS4SignalMessageProcessorResult.createSuccess();
    }

    @Override
    public void processAS4ResponseMessage(
        IAS4IncomingMessageMetadata metadata, IAS4IncomingMessageState state, String id, byte[] answer,
        boolean available, AS4ErrorList errors) {
        // The answer is the sender's to judge.
    }

    private static AS4MessageProcessorResult refused(
        AS4ErrorList errors, EEbmsError error, String detail, IAS4IncomingMessageState state) {
        errors.add(error.errorBuilder(Locale.US)
            .refToMessageInError(state.getMessageID())
            .errorDetail(detail)
            .build());
        return AS4MessageProcessorResult.createFailure();
    }

    private synchronized void record(
        Ebms3UserMessage message, WSS4JAttachment payload, IAS4IncomingMessageState state) throws IOException {
        Path file = Files.createTempFile(folder, "payload-", ".xml");
        try (InputStream content = payload.getSourceStream()) {
            Files.copy(content, file, StandardCopyOption.REPLACE_EXISTING);
        }
        IJsonObject line = described(message, state)
            .add("payload", file.toString())
            .add("content_id", payload.getId())
            .add("mime_type", payload.getMimeType());
        Files.writeString(folder.resolve("received.jsonl"), line.getAsJsonString() + "\n", StandardCharsets.UTF_8,
            StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    }

    private static IJsonObject described(Ebms3UserMessage message, IAS4IncomingMessageState state) {
        Ebms3CollaborationInfo collaboration = message.getCollaborationInfo();
        JsonObject properties = new JsonObject();
        for (Ebms3Property property : message.getMessageProperties().getProperty()) {
            properties.add(property.getName(), property.getValue());
        }
        return new JsonObject()
            .add("message_id", state.getMessageID())
            .add("from", state.getInitiatorID())
            .add("to", state.getResponderID())
            .add("service_type", collaboration.getService().getType())
            .add("service", collaboration.getServiceValue())
            .add("action", collaboration.getAction())
            .add("conversation", collaboration.getConversationId())
            .add("properties", properties)
            .add("signature_checked", state.isSoapSignatureChecked())
            .add("signer", Text.commonName(state.getSigningCertificate()))
            .add("signed", signed(state.getEffectiveDecryptedSoapDocument()))
            .add("decrypted", state.isSoapDecrypted());
    }

    private static String property(Ebms3UserMessage message, String name) {
        return message.getMessageProperties().getProperty().stream()
            .filter(property -> name.equals(property.getName()))
            .map(Ebms3Property::getValue)
            .findFirst()
            .orElse(null);
    }

    /** What the signature refers to: names of elements, and attachments by their URL. */
    private static JsonArray signed(Document envelope) {
        JsonArray names = new JsonArray();
        MessageHelperMethods.getAllDSigReferences(envelope).forEach(reference -> {
            String uri = reference.getURI();
            names.add(uri.startsWith("#") ? elementName(envelope, uri.substring(1)) : uri);
        });
        return names;
    }

    private static String elementName(Document envelope, String id) {
        NodeList elements = envelope.getElementsByTagNameNS("*", "*");
        for (int index = 0; index < elements.getLength(); index++) {
            Element element = (Element) elements.item(index);
            if (id.equals(element.getAttributeNS(WSU, "Id"))) {
                return element.getLocalName();
            }
        }
        return "nothing";
    }
}
