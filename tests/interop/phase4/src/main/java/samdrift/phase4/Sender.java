package samdrift.phase4;

import java.io.File;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import javax.net.ssl.SSLContext;

import org.apache.hc.core5.util.Timeout;

import com.helger.httpclient.HttpClientFactory;
import com.helger.httpclient.HttpClientSettings;
import com.helger.json.IJsonObject;
import com.helger.json.JsonArray;
import com.helger.json.JsonObject;
import com.helger.mime.CMimeType;
import com.helger.phase4.attachment.AS4OutgoingAttachment;
import com.helger.phase4.CAS4;
import com.helger.phase4.crypto.ECryptoKeyIdentifierType;
import com.helger.phase4.crypto.IAS4CryptoFactory;
import com.helger.phase4.ebms3header.Ebms3Error;
import com.helger.phase4.ebms3header.Ebms3SignalMessage;
import com.helger.phase4.incoming.AS4IncomingProfileSelectorConstant;
import com.helger.phase4.incoming.IAS4IncomingMessageState;
import com.helger.phase4.messaging.http.HttpRetrySettings;
import com.helger.phase4.model.MessageProperty;
import com.helger.phase4.model.pmode.IPMode;
import com.helger.phase4.sender.AS4Sender;
import com.helger.phase4.sender.IAS4SignalMessageValidationResultHandler;
import com.helger.phase4.util.Phase4Exception;

/** Sends messages with phase4, and reports what phase4 made of the answer. */
final class Sender {
    private final String party;
    private final IAS4CryptoFactory keys;
    private final HttpClientFactory client;

    Sender(String party, IAS4CryptoFactory keys, SSLContext tls) {
        this.party = party;
        this.keys = keys;
        HttpClientSettings settings = new HttpClientSettings();
        settings.setSSLContext(tls);
        settings.setResponseTimeout(Timeout.ofSeconds(60));
        this.client = new HttpClientFactory(settings);
    }

    /**
     * Sends one message.
     *
     * Keys of the request: address, to (party and certificate), service (type and value), action, conversation,
     * message_id, properties (name, type, value), file, key_reference; sign and encrypt, unless false; retries.
     */
    IJsonObject send(IJsonObject request) throws Exception {
        String to = request.getAsString("to");
        IPMode mode = ProcessingMode.between(
            party, to, request.getAsString("service"), request.getAsString("action"));
        Outcome outcome = new Outcome();
        AS4Sender.BuilderUserMessage message = AS4Sender.builderUserMessage()
            .as4ProfileID("digg")
            .incomingProfileSelector(new AS4IncomingProfileSelectorConstant(null))
            .pmode(mode)
            .pmodeResolver((id, service, action, from, receiver, agreement, address) -> mode)
            .httpClientFactory(client)
            .httpRetrySettings(new HttpRetrySettings()
                .setMaxRetries(request.getAsInt("retries", 0))
                .setDurationBeforeRetry(Duration.ofMillis(100)))
            .cryptoFactory(keys)
            .receiverCertificate(Keys.certificate(request.getAsString("to_certificate")))
            .endpointURL(request.getAsString("address"))
            .messageID(request.getAsString("message_id"))
            .conversationID(request.getAsString("conversation"))
            .service(request.getAsString("service_type"), request.getAsString("service"))
            .action(request.getAsString("action"))
            .fromPartyIDType(ProcessingMode.PARTY_TYPE)
            .fromPartyID(party)
            .fromRole(CAS4.DEFAULT_INITIATOR_URL)
            .toPartyIDType(ProcessingMode.PARTY_TYPE)
            .toPartyID(to)
            .toRole(CAS4.DEFAULT_RESPONDER_URL)
            .payload(payload(new File(request.getAsString("file"))))
            .signalMsgConsumer((signal, metadata, state) -> outcome.take(signal, state))
            .signalMsgValidationResultHdl(outcome);
        for (IJsonObject property : request.getAsArray("properties").iteratorObjects()) {
            message.addMessageProperty(MessageProperty.builder()
                .name(property.getAsString("name"))
                .type(property.getAsString("type"))
                .value(property.getAsString("value")));
        }
        protect(message, mode, request);
        outcome.result = message.sendMessageAndCheckForReceipt(outcome::failed).getID();
        return outcome.asJson();
    }

    /** What DIGG's profile prescribes, by default: signed and encrypted, certificates referred to as tokens. */
    private static void protect(AS4Sender.BuilderUserMessage message, IPMode mode, IJsonObject request) {
        ECryptoKeyIdentifierType reference = ECryptoKeyIdentifierType.getFromIDOrNull(
            request.getAsString("key_reference", ECryptoKeyIdentifierType.BST_DIRECT_REFERENCE.getID()));
        message.withSigningParams(signing -> signing.setKeyIdentifierType(reference));
        message.withCryptParams(encryption -> encryption.setKeyIdentifierType(reference));
        if (!request.getAsBoolean("sign", true)) {
            mode.getLeg1().getSecurity().setX509SignatureAlgorithm(null);
        }
        if (!request.getAsBoolean("encrypt", true)) {
            mode.getLeg1().getSecurity().setX509EncryptionAlgorithm(null);
        }
    }

    private static AS4OutgoingAttachment.Builder payload(File file) {
        return AS4OutgoingAttachment.builder()
            .data(file)
            .contentID("message")
            .mimeType(CMimeType.TEXT_XML)
            .compressionGZIP();
    }

    /** What came back, as phase4 sees it. */
    private static final class Outcome implements IAS4SignalMessageValidationResultHandler {
        private String result;
        private String failure;
        private boolean signed;
        private String signer;
        private boolean matches;
        private final List<String> mismatches = new ArrayList<>();
        private final JsonArray errors = new JsonArray();

        void take(Ebms3SignalMessage signal, IAS4IncomingMessageState state) {
            signed = state.isSoapSignatureChecked();
            signer = Text.commonName(state.getSigningCertificate());
            for (Ebms3Error error : signal.getError()) {
                errors.add(new JsonObject()
                    .add("code", error.getErrorCode())
                    .add("detail", error.getErrorDetail())
                    .add("refers_to", error.getRefToMessageInError()));
            }
        }

        void failed(Phase4Exception exception) {
            failure = Text.causes(exception);
        }

        @Override
        public void onSuccess() {
            matches = true;
        }

        @Override
        public void onError(String text) {
            mismatches.add(text);
        }

        @Override
        public void onNotApplicable() {
            // No receipt with references: told by the result.
        }

        IJsonObject asJson() {
            JsonArray differences = new JsonArray();
            mismatches.forEach(differences::add);
            return new JsonObject()
                .add("result", result)
                .add("failure", failure)
                .add("signed", signed)
                .add("signer", signer)
                .add("matches", matches)
                .add("mismatches", differences)
                .add("errors", errors);
        }
    }
}
