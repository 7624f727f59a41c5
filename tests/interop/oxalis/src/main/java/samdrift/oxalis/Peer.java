package samdrift.oxalis;

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.security.Security;
import java.security.cert.X509Certificate;
import java.util.List;
import java.util.Map;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigRenderOptions;
import com.typesafe.config.ConfigValueFactory;
import network.oxalis.as4.util.OxalisAlgorithmSuiteLoader;
import org.apache.cxf.BusFactory;
import org.bouncycastle.jce.provider.BouncyCastleProvider;

/**
 * Both halves of Oxalis' AS4, without what Peppol puts around them.
 *
 * Driven over standard input and output: one JSON object a line in, one a line out. The first line says who it
 * is; each after it is a call.
 */
public final class Peer {
    private final Sender sender;
    private final Receiver receiver;

    private Peer(Config self) throws Exception {
        X509Certificate issuer = Encoded.certificate(self, "issuer");
        Identity identity = new Identity(
            Encoded.key(self, "key"),
            Encoded.certificate(self, "certificate"),
            List.of(issuer, Encoded.certificate(self, "excluded_issuer")));
        sender = new Sender(identity);
        receiver = new Receiver(identity, issuer);
    }

    public static void main(String[] arguments) throws Exception {
        PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        Security.addProvider(new BouncyCastleProvider());
        new OxalisAlgorithmSuiteLoader(BusFactory.getDefaultBus());
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Peer peer = new Peer(ConfigFactory.parseString(requests.readLine()));
        answers.println(json(Map.of("port", peer.receiver.port())));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            answers.println(json(peer.answer(ConfigFactory.parseString(line))));
        }
        System.exit(0);
    }

    private Map<String, Object> answer(Config request) throws Exception {
        return switch (request.getString("call")) {
            case "send" -> sender.send(request);
            case "received" -> Map.of("received", receiver.inbox().drain());
            default -> throw new IllegalArgumentException(request.getString("call"));
        };
    }

    private static String json(Map<String, Object> answer) {
        return ConfigValueFactory.fromMap(answer).render(ConfigRenderOptions.concise());
    }
}
