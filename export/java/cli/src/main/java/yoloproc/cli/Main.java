package yoloproc.cli;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

import yoloproc.FormatException;
import yoloproc.InferenceException;

/** The command line: {@code java -jar yolo-proc.jar detect | classify | verify | describe | trace}. */
public final class Main {

    /** All went well. */
    static final int DONE = 0;
    /** {@code verify} found differences. */
    static final int DIFFERENT = 1;
    /** A mistake of the user, told in one line. */
    static final int MISTAKE = 2;

    private static final String HELP = """
            Runs a model that `yolo_proc export` wrote. Java 17 or newer; no Python.

              java -jar yolo-proc.jar detect MODEL PICTURE|FOLDER...   what is in the pictures
                --json               one JSON array in place of lines for people
                --annotated PATH     draws the boxes: a file that ends with .png for one picture, else a folder
                --scredit FOLDER     a project of the scredit editor: the pictures and a script of each
                --confidence 0..1    least confidence of a box; without it what the model says, as of the next two
                --max-iou 0..1       a box that overlaps a more confident one by so much is dropped
                --agnostic           compares boxes of all classes, not of one
                --max-detections N   boxes left in a picture
                --bit-depth 8..16    bits that samples of 16-bit pictures use, such as 12 of many cameras
                --threads N          of the network; without it one a processor
              java -jar yolo-proc.jar classify MODEL PICTURE|FOLDER... what pictures show, of a model that is a classifier
                --top N              how many classes of a picture are told; without it 3
                                     and --json, --bit-depth and --threads as of detect
              java -jar yolo-proc.jar verify FOLDER      replays the golden vectors of an exported folder in this JVM,
                                                         and compares model.json with model.onnx
              java -jar yolo-proc.jar describe MODEL     what the model says of itself
              java -jar yolo-proc.jar trace MODEL PICTURE|FOLDER...    what every stage makes of pictures, as JSON
                --outputs FOLDER     what the network gives, slots x (5 + classes) float32 values, little-endian
                                     and all options of detect that choose boxes; N x classes of a classifier

            Exit codes: 0 done, 1 verify found differences, 2 a mistake, told in one line on standard error.
            """;

    private Main() {
    }

    /** Runs one command and exits. */
    public static void main(String[] words) {
        // The console's own encoding would make question marks of class names.
        Output output = new Output(new FileOutputStream(FileDescriptor.out));
        PrintStream out = new PrintStream(output, false, StandardCharsets.UTF_8);
        PrintStream err = new PrintStream(new FileOutputStream(FileDescriptor.err), true, StandardCharsets.UTF_8);
        System.setProperty("java.awt.headless", "true");
        int code = run(Arrays.asList(words), out, err);
        out.flush();
        System.exit(finish(output, code, err));
    }

    /** The exit code, another one if the output could not be written; then with a line, or in silence for a closed pipe. */
    static int finish(Output output, int code, PrintStream err) {
        if (output.problem() != null) {
            err.println("yolo-proc: " + output.problem());
            return MISTAKE;
        }
        return output.isClosedPipe() ? Output.CLOSED_PIPE : code;
    }

    /** Runs one command; the exit code. */
    static int run(List<String> words, PrintStream out, PrintStream err) {
        if (words.isEmpty() || words.contains("--help") || words.contains("-h")) {
            out.print(HELP);
            return words.isEmpty() ? MISTAKE : DONE;
        }
        List<String> rest = words.subList(1, words.size());
        try {
            return switch (words.get(0)) {
                case "detect" -> DetectCommand.run(rest, out, err);
                case "classify" -> ClassifyCommand.run(rest, out, err);
                case "verify" -> VerifyCommand.run(rest, out);
                case "trace" -> TraceCommand.run(rest, out, err);
                case "describe" -> DescribeCommand.run(rest, out);
                default -> throw new Mistake(words.get(0) + ": expected detect, classify, verify, describe or trace; see --help");
            };
        } catch (Mistake | IOException | InferenceException error) {
            err.println("yolo-proc: " + oneLine(error));
        } catch (LinkageError error) {
            err.println("yolo-proc: expected a machine that ONNX Runtime's library runs on, found another ("
                    + oneLine(error) + ")");
        } catch (OutOfMemoryError error) {
            err.println("yolo-proc: expected more memory, found too little; try java -Xmx4g -jar ...");
        }
        return MISTAKE;
    }

    static String oneLine(Throwable error) {
        String text = error.getMessage() == null ? error.getClass().getSimpleName() : error.getMessage();
        return FormatException.oneLine(text.strip().replaceAll("\\s*\\R\\s*", " "));
    }

    /** Prints a line, in which a file's name may have any characters. */
    static void tell(PrintStream err, String line) {
        err.println("yolo-proc: " + FormatException.oneLine(line));
    }
}
