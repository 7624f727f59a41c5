package samdrift;

import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

import com.helger.json.IJsonObject;
import com.helger.json.JsonObject;
import com.helger.json.serialize.JsonReader;

/**
 * Answers calls over standard input and output: one JSON object a line in, one a line out, until the input ends.
 *
 * An answer is what the library behind the program says. What it refuses is an answer too, {@code refused}, with
 * the messages of the exception and of its causes.
 */
public final class Conversation {
    private Conversation() {}

    /** What a program does with a call. */
    @FunctionalInterface
    public interface Calls {
        IJsonObject answer(String call, IJsonObject request) throws Exception;
    }

    public static void hold(Calls calls) throws Exception {
        PrintStream answers = new PrintStream(new FileOutputStream(FileDescriptor.out), true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        BufferedReader requests = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = requests.readLine(); line != null; line = requests.readLine()) {
            IJsonObject request = JsonReader.readFromString(line).getAsObject();
            answers.println(answered(calls, request).getAsJsonString());
        }
    }

    private static IJsonObject answered(Calls calls, IJsonObject request) {
        try {
            return calls.answer(request.getAsString("call"), request);
        } catch (Exception exception) {
            exception.printStackTrace();
            return new JsonObject().add("refused", causes(exception));
        }
    }

    static String causes(Throwable exception) {
        StringBuilder text = new StringBuilder();
        for (Throwable cause = exception; cause != null; cause = cause.getCause()) {
            text.append(text.isEmpty() ? "" : ": ")
                .append(cause.getClass().getSimpleName()).append(' ').append(cause.getMessage());
        }
        return text.toString();
    }
}
