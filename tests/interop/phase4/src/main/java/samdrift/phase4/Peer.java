package samdrift.phase4;

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.Security;
import java.util.HashSet;
import java.util.Set;
import javax.net.ssl.SSLContext;

import org.bouncycastle.jce.provider.BouncyCastleProvider;

import com.helger.json.IJsonObject;
import com.helger.json.IJsonValue;
import com.helger.json.JsonObject;
import com.helger.json.serialize.JsonReader;
import com.helger.phase4.crypto.IAS4CryptoFactory;

/**
 * phase4 as an access point, driven over standard input and output: one JSON object a line in, one a line out.
 *
 * The first line says who it is and whom it serves, and is answered with the port where it receives; each line
 * after it is a message to send. Ends with its input. It knows nothing of Samdrift: what it reports is what
 * phase4 says.
 */
public final class Peer {
    private Peer() {}

    public static void main(String[] arguments) throws Exception {
        PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        IJsonObject self = read(requests.readLine());
        if (self.getAsBoolean("bouncy_castle")) {
            Security.insertProviderAt(new BouncyCastleProvider(), 1);
        }
        String party = self.getAsString("party");
        IAS4CryptoFactory keys = Keys.accessPoint(
            self.getAsString("key"), self.getAsString("certificate"), self.getAsString("issuers"));
        SSLContext tls = Keys.tls(
            self.getAsString("tls_key"), self.getAsString("tls_certificate"), self.getAsString("tls_issuers"));
        Inbox inbox = new Inbox(Path.of(self.getAsString("folder")), texts(self, "recipients"));
        Receiver receiver = new Receiver(party, keys, tls, texts(self, "actions"), inbox);
        Sender sender = new Sender(party, keys, tls);
        answers.println(new JsonObject().add("port", receiver.start()).getAsJsonString());
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            answers.println(sender.send(read(line)).getAsJsonString());
        }
        receiver.stop();
    }

    private static IJsonObject read(String line) {
        return JsonReader.readFromString(line).getAsObject();
    }

    private static Set<String> texts(IJsonObject object, String key) {
        Set<String> found = new HashSet<>();
        for (IJsonValue value : object.getAsArray(key).iteratorValues()) {
            found.add(value.getAsString());
        }
        return found;
    }
}
