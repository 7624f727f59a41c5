package samdrift.oxalis;

import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Security;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Date;
import java.util.Map;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigRenderOptions;
import com.typesafe.config.ConfigValueFactory;
import network.oxalis.api.outbound.TransmissionResponse;
import network.oxalis.api.settings.Settings;
import network.oxalis.api.tag.Tag;
import network.oxalis.api.timestamp.Timestamp;
import network.oxalis.as4.common.As4MessageProperties;
import network.oxalis.as4.common.DefaultMessageIdGenerator;
import network.oxalis.as4.common.MerlinProvider;
import network.oxalis.as4.config.As4Conf;
import network.oxalis.as4.outbound.ActionProvider;
import network.oxalis.as4.outbound.As4MessageSender;
import network.oxalis.as4.outbound.As4TransmissionRequest;
import network.oxalis.as4.outbound.BrowserTypeProvider;
import network.oxalis.as4.outbound.MessagingProvider;
import network.oxalis.as4.outbound.TransmissionResponseConverter;
import network.oxalis.as4.util.CompressionUtil;
import network.oxalis.as4.util.OxalisAlgorithmSuiteLoader;
import network.oxalis.as4.util.PeppolConfiguration;
import network.oxalis.as4.util.PolicyService;
import network.oxalis.commons.http.HttpConf;
import network.oxalis.commons.security.KeyStoreConf;
import network.oxalis.vefa.peppol.common.model.DocumentTypeIdentifier;
import network.oxalis.vefa.peppol.common.model.Endpoint;
import network.oxalis.vefa.peppol.common.model.Header;
import network.oxalis.vefa.peppol.common.model.ParticipantIdentifier;
import network.oxalis.vefa.peppol.common.model.ProcessIdentifier;
import network.oxalis.vefa.peppol.common.model.Scheme;
import network.oxalis.vefa.peppol.common.model.TransportProfile;
import org.apache.cxf.BusFactory;
import org.apache.wss4j.common.crypto.Merlin;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

/**
 * The sending half of Oxalis' AS4, without the lookups and the header of Peppol that Oxalis puts around it.
 *
 * Driven over standard input and output: one JSON object a line in, one a line out. The first line says who it
 * is; each after it is a message to send.
 */
public final class Peer {
    private static final String ALIAS = "own";
    private static final String PASSWORD = "in memory only";

    private Peer() {}

    public static void main(String[] arguments) throws Exception {
        PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        Security.addProvider(new BouncyCastleProvider());
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        As4MessageSender sender = sender(ConfigFactory.parseString(requests.readLine()));
        answers.println("{}");
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            Map<String, String> answer = send(sender, ConfigFactory.parseString(line));
            answers.println(ConfigValueFactory.fromMap(answer).render(ConfigRenderOptions.concise()));
        }
        System.exit(0);
    }

    private static As4MessageSender sender(Config self) throws Exception {
        X509Certificate own = certificate(self, "certificate");
        Merlin crypto = crypto(key(self, "key"), own, certificate(self, "issuer"));
        ActionProvider actions = document -> document.getScheme().getIdentifier() + "::" + document.getIdentifier();
        DefaultMessageIdGenerator ids = new DefaultMessageIdGenerator("oxalis.test");
        new OxalisAlgorithmSuiteLoader(BusFactory.getDefaultBus());
        return new As4MessageSender(
            new MessagingProvider(own, ids, new Profile(), actions),
            ids,
            settings(Map.of(KeyStoreConf.KEY_ALIAS, ALIAS, KeyStoreConf.KEY_PASSWORD, PASSWORD)),
            settings(Map.<As4Conf, String>of(As4Conf.TYPE, "peppol")),
            new CompressionUtil(),
            settings(Map.of(HttpConf.TIMEOUT_CONNECT, "10000", HttpConf.TIMEOUT_READ, "60000")),
            new TransmissionResponseConverter((content, direction) -> new Timestamp(new Date(), null)),
            new MerlinProvider() {
                @Override
                public Merlin getMerlin() {
                    return crypto;
                }
            },
            new PolicyService(actions),
            new BrowserTypeProvider(own));
    }

    /** The receipt's message id, or what Oxalis refuses. */
    private static Map<String, String> send(As4MessageSender sender, Config request) throws Exception {
        try {
            TransmissionResponse response = sender.send(new Request(request, certificate(request, "to_certificate")));
            return Map.of(
                "acknowledged", response.getTransmissionIdentifier().getIdentifier(),
                "evidence", Base64.getEncoder().encodeToString(response.primaryReceipt().getValue()));
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
            return new ByteArrayInputStream(bytes(asked, "payload"));
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

    private static <T> Settings<T> settings(Map<T, String> values) {
        return new Settings<>() {
            @Override
            public String getString(T key) {
                return values.get(key);
            }

            @Override
            public int getInt(T key) {
                return Integer.parseInt(values.get(key));
            }
        };
    }

    private static Merlin crypto(PrivateKey key, X509Certificate certificate, X509Certificate issuer) throws Exception {
        KeyStore own = empty();
        own.setKeyEntry(ALIAS, key, PASSWORD.toCharArray(), new Certificate[] {certificate});
        KeyStore trusted = empty();
        trusted.setCertificateEntry("issuer", issuer);
        Merlin crypto = new Merlin();
        crypto.setCryptoProvider(BouncyCastleProvider.PROVIDER_NAME);
        crypto.setKeyStore(own);
        crypto.setTrustStore(trusted);
        return crypto;
    }

    private static KeyStore empty() throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, PASSWORD.toCharArray());
        return store;
    }

    private static byte[] bytes(Config request, String name) {
        return Base64.getDecoder().decode(request.getString(name));
    }

    private static PrivateKey key(Config request, String name) throws GeneralSecurityException {
        return KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(bytes(request, name)));
    }

    private static X509Certificate certificate(Config request, String name) throws GeneralSecurityException {
        return (X509Certificate) CertificateFactory.getInstance("X.509")
            .generateCertificate(new ByteArrayInputStream(bytes(request, name)));
    }
}
