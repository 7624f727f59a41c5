import java.io.FileInputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.Security;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;

/** Listeners with what OpenSSL no longer has: the first argument has the keys, each other is port;protocols;suites. */
public final class Listener {
    private static final char[] PASSWORD = "listener".toCharArray();

    public static void main(String[] arguments) throws Exception {
        Security.setProperty("jdk.tls.disabledAlgorithms", "");
        Security.setProperty("jdk.tls.legacyAlgorithms", "");
        System.setProperty("jdk.tls.ephemeralDHKeySize", "1024");
        KeyStore keys = KeyStore.getInstance("PKCS12");
        try (FileInputStream file = new FileInputStream(arguments[0])) {
            keys.load(file, PASSWORD);
        }
        KeyManagerFactory managers = KeyManagerFactory.getInstance("SunX509");
        managers.init(keys, PASSWORD);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(managers.getKeyManagers(), null, null);
        for (int each = 1; each < arguments.length; each++) {
            String[] parts = arguments[each].split(";");
            SSLServerSocket socket = (SSLServerSocket) context.getServerSocketFactory()
                .createServerSocket(Integer.parseInt(parts[0]), 50, InetAddress.getLoopbackAddress());
            socket.setEnabledProtocols(parts[1].split(","));
            socket.setEnabledCipherSuites(parts[2].split(","));
            new Thread(() -> serve(socket)).start();
        }
        System.out.println("listening");
    }

    private static void serve(SSLServerSocket socket) {
        while (true) {
            try {
                SSLSocket client = (SSLSocket) socket.accept();
                new Thread(() -> answer(client)).start();
            } catch (java.io.IOException over) {
                return;
            }
        }
    }

    private static void answer(SSLSocket client) {
        try (client) {
            client.setSoTimeout(10_000);
            client.startHandshake();
            client.getInputStream().read(new byte[4096]);
            OutputStream out = client.getOutputStream();
            String text = "HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            out.write(text.getBytes(StandardCharsets.US_ASCII));
            out.flush();
        } catch (java.io.IOException refused) {
            // What is refused is what is asked for.
        }
    }
}
