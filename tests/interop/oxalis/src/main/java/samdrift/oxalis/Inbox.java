package samdrift.oxalis;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

import network.oxalis.api.inbound.InboundMetadata;
import network.oxalis.api.model.TransmissionIdentifier;
import network.oxalis.api.persist.PersisterHandler;
import network.oxalis.vefa.peppol.common.model.Header;

/** Keeps what Oxalis accepts, where an installation of it has folders or a queue. */
final class Inbox implements PersisterHandler {
    private final Queue<Map<String, Object>> received = new ConcurrentLinkedQueue<>();

    @Override
    public Path persist(TransmissionIdentifier id, Header header, InputStream payload) throws IOException {
        Path file = Files.createTempFile("payload", null);
        Files.write(file, payload.readAllBytes());
        return file;
    }

    @Override
    public void persist(InboundMetadata metadata, Path payload) throws IOException {
        received.add(Map.of(
            "message_id", metadata.getTransmissionIdentifier().getIdentifier(),
            "from", metadata.getHeader().getSender().getIdentifier(),
            "to", metadata.getHeader().getReceiver().getIdentifier(),
            "payload", Encoded.text(Files.readAllBytes(payload))));
    }

    /** What came since the last call. */
    List<Map<String, Object>> drain() {
        List<Map<String, Object>> drained = new ArrayList<>();
        for (Map<String, Object> one = received.poll(); one != null; one = received.poll()) {
            drained.add(one);
        }
        return drained;
    }
}
