package samdrift.lookup;

import com.helger.json.IJsonObject;
import com.helger.json.JsonObject;

import samdrift.Conversation;

/** Looks participants up in SML and SMP with two libraries, and reports what each of them reads there. */
public final class Peer {
    private Peer() {}

    public static void main(String[] arguments) throws Exception {
        Conversation.hold((call, request) -> {
            switch (call) {
                case "start":
                    return start(request);
                case "peppol-smp-client":
                    return new PeppolCommons(request).look();
                case "peppol-lookup":
                    return new Vefa(request).look();
                default:
                    throw new IllegalArgumentException(call);
            }
        });
    }

    /** Has both ask one name server, which has a port of its own: they use dnsjava, and that reads properties. */
    private static IJsonObject start(IJsonObject request) {
        System.setProperty("dns.server", request.getAsString("dns"));
        return new JsonObject();
    }
}
