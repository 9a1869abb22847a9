package yoloproc;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Objects;

/**
 * Gives inputs from stdin to the readers and tells on stdout what came of each: the Java half of {@code make attack}.
 *
 * <p>A request is a name and bytes, each with its length in front; an answer is one character and a text: {@code +} accepted,
 * {@code -} refused with a message, {@code !} anything else, with the stack.
 */
final class Attack {

    private Attack() {
    }

    public static void main(String[] words) throws IOException {
        DataInputStream in = new DataInputStream(System.in);
        DataOutputStream out = new DataOutputStream(System.out);
        System.setOut(System.err); // what a reader prints is a finding
        while (true) {
            byte[] head = in.readNBytes(Integer.BYTES);
            if (head.length < Integer.BYTES) {
                return;
            }
            int length = ByteBuffer.wrap(head).getInt();
            String reader = new String(in.readNBytes(length), StandardCharsets.UTF_8);
            byte[] data = in.readNBytes(in.readInt());
            byte[] answer = answer(reader, data).getBytes(StandardCharsets.UTF_8);
            out.writeInt(answer.length);
            out.write(answer);
            out.flush();
        }
    }

    private static String answer(String reader, byte[] data) {
        try {
            read(reader, data);
            return "+";
        } catch (FormatException error) {
            return "-" + error.getMessage();
        } catch (IOException error) { // of a file: its name is the message
            return "-" + error.getClass().getSimpleName();
        } catch (Throwable error) { // also an assertion, an overflow of the stack, no memory
            StringWriter stack = new StringWriter();
            error.printStackTrace(new PrintWriter(stack, true));
            return "!" + stack.toString().lines().limit(40).reduce("", (a, b) -> a + b + "\n");
        }
    }

    private static void read(String reader, byte[] data) throws IOException {
        switch (reader) {
            case "picture" -> {
                RgbImage image = Pictures.read(data, "a");
                if (image.rgb().length != 3 * image.width() * image.height()) {
                    throw new AssertionError(image.width() + " x " + image.height());
                }
            }
            case "model" -> {
                ModelSpec spec = ModelSpec.read(new String(data, StandardCharsets.UTF_8), "a");
                if (spec.codec().slots() < 1) {
                    throw new AssertionError("no slots");
                }
            }
            case "json" -> {
                Object value = Json.read(new String(data, StandardCharsets.UTF_8), "a");
                Object again = Json.read(Json.write(value), "again");
                if (!Objects.equals(again, value)) { // null is a value too
                    throw new AssertionError("another value when it is read again");
                }
            }
            case "script" -> {
                Scredit.Script script = Scredit.read(data, "a");
                byte[] once = Scredit.write(script, 64, 48);
                Scredit.read(once, "again");
            }
            case "vectors" -> GoldenVectors.read(Path.of(new String(data, StandardCharsets.UTF_8)));
            default -> throw new IllegalStateException(reader);
        }
    }
}
