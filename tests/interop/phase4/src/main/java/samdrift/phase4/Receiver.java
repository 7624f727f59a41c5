package samdrift.phase4;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.Charset;
import java.util.Set;
import java.util.concurrent.Executors;
import javax.net.ssl.SSLContext;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;

import com.helger.base.io.iface.IHasInputStream;
import com.helger.collection.commons.CommonsArrayList;
import com.helger.http.header.HttpHeaderMap;
import com.helger.mime.IMimeType;
import com.helger.phase4.attachment.IAS4IncomingAttachmentFactory;
import com.helger.phase4.crypto.IAS4CryptoFactory;
import com.helger.phase4.incoming.AS4IncomingMessageMetadata;
import com.helger.phase4.incoming.AS4IncomingProfileSelectorConstant;
import com.helger.phase4.incoming.AS4IncomingReceiverConfiguration;
import com.helger.phase4.incoming.AS4RequestHandler;
import com.helger.phase4.incoming.IAS4ResponseAbstraction;
import com.helger.phase4.incoming.crypto.AS4IncomingSecurityConfiguration;

/** An access point's address on loopback, with phase4's request handler behind the HTTPS server of the JDK. */
final class Receiver {
    private static final int THREADS = 4;

    private final String party;
    private final IAS4CryptoFactory keys;
    private final Set<String> actions;
    private final Inbox inbox;
    private final HttpsServer server;

    Receiver(String party, IAS4CryptoFactory keys, SSLContext tls, Set<String> actions, Inbox inbox)
        throws IOException {
        this.party = party;
        this.keys = keys;
        this.actions = actions;
        this.inbox = inbox;
        server = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.setHttpsConfigurator(new HttpsConfigurator(tls));
        server.setExecutor(Executors.newFixedThreadPool(THREADS, task -> {
            Thread thread = new Thread(task, "receiver");
            thread.setDaemon(true);
            return thread;
        }));
        server.createContext("/as4", this::answer);
    }

    /** Starts to listen; gives the port. */
    int start() {
        server.start();
        return server.getAddress().getPort();
    }

    void stop() {
        server.stop(0);
    }

    private void answer(HttpExchange exchange) throws IOException {
        Answer answer = new Answer();
        AS4IncomingMessageMetadata metadata = AS4IncomingMessageMetadata.createForRequest();
        try (exchange; AS4RequestHandler handler = new AS4RequestHandler(metadata)) {
            HttpHeaderMap headers = new HttpHeaderMap();
            exchange.getRequestHeaders().forEach((name, values) ->
                values.forEach(value -> headers.addHeader(name, value)));
            configure(handler);
            try {
                handler.handleRequest(exchange.getRequestBody(), headers, answer);
            } catch (Exception exception) {
                answer.refuse(Text.causes(exception));
            }
            answer.write(exchange);
        }
    }

    private void configure(AS4RequestHandler handler) {
        handler.setCryptoFactory(keys);
        handler.setPModeResolver((id, service, action, from, to, agreement, address) ->
            actions.contains(action) && party.equals(to) ? ProcessingMode.between(from, to, service, action) : null);
        handler.setIncomingProfileSelector(new AS4IncomingProfileSelectorConstant(null));
        handler.setIncomingAttachmentFactory(IAS4IncomingAttachmentFactory.DEFAULT_INSTANCE);
        handler.setIncomingSecurityConfiguration(AS4IncomingSecurityConfiguration.createDefaultInstance());
        handler.setIncomingReceiverConfiguration(new AS4IncomingReceiverConfiguration());
        handler.setProcessorSupplier(() -> new CommonsArrayList<>(inbox));
    }

    /** The HTTP answer that phase4 asks for. */
    private static final class Answer implements IAS4ResponseAbstraction {
        private int status = 200;
        private String contentType = "text/plain";
        private byte[] body = {};

        @Override
        public void setContent(byte[] bytes, Charset charset) {
            body = bytes;
        }

        @Override
        public void setContent(HttpHeaderMap headers, IHasInputStream content) {
            try (InputStream stream = content.getInputStream()) {
                body = stream.readAllBytes();
            } catch (IOException exception) {
                throw new IllegalStateException(exception);
            }
        }

        @Override
        public void setMimeType(IMimeType type) {
            contentType = type.getAsString();
        }

        @Override
        public void setStatus(int code) {
            status = code;
        }

        /** What phase4's own servlet answers when its handler gives up. */
        void refuse(String text) {
            status = 400;
            body = ("Bad Request: " + text).getBytes(Charset.defaultCharset());
        }

        void write(HttpExchange exchange) throws IOException {
            exchange.getResponseHeaders().set("Content-Type", contentType);
            exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
            exchange.getResponseBody().write(body);
        }
    }
}
