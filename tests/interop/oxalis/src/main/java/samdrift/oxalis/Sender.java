package samdrift.oxalis;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.Charset;
import java.security.cert.X509Certificate;
import java.util.Date;
import java.util.Map;

import com.typesafe.config.Config;
import network.oxalis.api.outbound.TransmissionResponse;
import network.oxalis.api.tag.Tag;
import network.oxalis.api.timestamp.Timestamp;
import network.oxalis.as4.common.As4MessageProperties;
import network.oxalis.as4.common.DefaultMessageIdGenerator;
import network.oxalis.as4.config.As4Conf;
import network.oxalis.as4.outbound.ActionProvider;
import network.oxalis.as4.outbound.As4MessageSender;
import network.oxalis.as4.outbound.As4TransmissionRequest;
import network.oxalis.as4.outbound.BrowserTypeProvider;
import network.oxalis.as4.outbound.MessagingProvider;
import network.oxalis.as4.outbound.TransmissionResponseConverter;
import network.oxalis.as4.util.CompressionUtil;
import network.oxalis.as4.util.PeppolConfiguration;
import network.oxalis.as4.util.PolicyService;
import network.oxalis.commons.http.HttpConf;
import network.oxalis.vefa.peppol.common.model.DocumentTypeIdentifier;
import network.oxalis.vefa.peppol.common.model.Endpoint;
import network.oxalis.vefa.peppol.common.model.Header;
import network.oxalis.vefa.peppol.common.model.ParticipantIdentifier;
import network.oxalis.vefa.peppol.common.model.ProcessIdentifier;
import network.oxalis.vefa.peppol.common.model.Scheme;
import network.oxalis.vefa.peppol.common.model.TransportProfile;

/** The sending half of Oxalis' AS4, without the lookups and the header of Peppol that Oxalis puts around it. */
final class Sender {
    private final As4MessageSender sender;

    Sender(Identity self) throws Exception {
        ActionProvider actions = document -> document.getScheme().getIdentifier() + "::" + document.getIdentifier();
        DefaultMessageIdGenerator ids = new DefaultMessageIdGenerator("oxalis.test");
        sender = new As4MessageSender(
            new MessagingProvider(self.certificate, ids, new Profile(), actions),
            ids,
            self.keyStore(),
            Identity.settings(Map.<As4Conf, String>of(As4Conf.TYPE, "peppol")),
            new CompressionUtil(),
            Identity.settings(Map.of(HttpConf.TIMEOUT_CONNECT, "10000", HttpConf.TIMEOUT_READ, "60000")),
            new TransmissionResponseConverter((content, direction) -> new Timestamp(new Date(), null)),
            self,
            new PolicyService(actions),
            new BrowserTypeProvider(self.certificate));
    }

    /** The receipt's message id, or what Oxalis refuses. */
    Map<String, Object> send(Config request) {
        try {
            TransmissionResponse response = sender.send(
                new Request(request, Encoded.certificate(request, "to_certificate")));
            return Map.of(
                "acknowledged", response.getTransmissionIdentifier().getIdentifier(),
                "evidence", Encoded.text(response.primaryReceipt().getValue()));
        } catch (Exception exception) {
            exception.printStackTrace();
            StringBuilder text = new StringBuilder();
            for (Throwable cause = exception; cause != null; cause = cause.getCause()) {
                text.append(cause.getClass().getSimpleName()).append(' ').append(cause.getMessage()).append(": ");
            }
            return Map.of("refused", text.toString());
        }
    }

    /** DIGG's profile where Oxalis has Peppol's. */
    private static final class Profile extends PeppolConfiguration {
        @Override
        public String getPartyIDType() {
            return "urn:fdc:digg.se:edelivery:transportprofile:as4:partytype:ap";
        }

        @Override
        public String getAgreementRef() {
            return null;
        }
    }

    /** A message to send. */
    private record Request(Config asked, X509Certificate receiver) implements As4TransmissionRequest {
        @Override
        public Endpoint getEndpoint() {
            return Endpoint.of(TransportProfile.AS4, URI.create(asked.getString("address")), receiver);
        }

        @Override
        public Header getHeader() {
            return Header.of(
                ParticipantIdentifier.of(asked.getString("sender")),
                ParticipantIdentifier.of(asked.getString("recipient")),
                ProcessIdentifier.of(asked.getString("service"), Scheme.of(asked.getString("service_type"))),
                DocumentTypeIdentifier.of(asked.getString("document"), Scheme.of(asked.getString("document_scheme"))));
        }

        @Override
        public InputStream getPayload() {
            return new ByteArrayInputStream(Encoded.bytes(asked, "payload"));
        }

        @Override
        public String getMessageId() {
            return asked.getString("message_id");
        }

        @Override
        public String getConversationId() {
            return asked.getString("conversation");
        }

        @Override
        public String getPayloadHref() {
            return "message";
        }

        @Override
        public String getRefToMessageId() {
            return null;
        }

        @Override
        public As4MessageProperties getMessageProperties() {
            return null;
        }

        @Override
        public Charset getPayloadCharset() {
            return null;
        }

        @Override
        public String getCompressionType() {
            return null;
        }

        @Override
        public boolean isPing() {
            return false;
        }

        @Override
        public Tag getTag() {
            return Tag.NONE;
        }
    }
}
