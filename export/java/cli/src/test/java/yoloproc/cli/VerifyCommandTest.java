package yoloproc.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class VerifyCommandTest {

    @TempDir
    Path folder;

    /** A copy of the committed vectors, as an exported folder has them. */
    private Path exported() throws IOException {
        Path vectors = Files.createDirectory(folder.resolve("vectors"));
        try (Stream<Path> files = Files.list(CommandLine.VECTORS)) {
            for (Path file : files.toList()) {
                Files.copy(file, vectors.resolve(file.getFileName()));
            }
        }
        return vectors;
    }

    @Test
    void thisJvmAgreesWithTheCommittedVectors() {
        CommandLine ran = CommandLine.run("verify", CommandLine.VECTORS);
        assertEquals(0, ran.code(), ran.out() + ran.err());
        for (String stage : List.of("picture", "letterbox", "model", "activate", "decode", "nms", "picture_boxes",
                "deactivate", "assign")) {
            String line = ran.out().lines().filter(each -> each.startsWith(stage + ": ")).findFirst().orElse("none");
            assertTrue(line.matches(stage + ": (\\d+) of \\1 as expected"), stage + ": " + line);
        }
    }

    /** In each stage one value is changed, together with its checksum: verify must see it. */
    @ParameterizedTest
    @CsvSource({"picture,rgb", "letterbox,letterboxed", "model,logits", "activate,predictions", "decode,slots",
        "decode,boxes", "decode,class_ids", "nms,slots", "nms,confidences", "picture_boxes,boxes", "deactivate,logits",
        "assign,targets"})
    void aChangedValueIsFound(String stage, String key) throws Exception {
        Path vectors = exported();
        Path index = vectors.resolve("index.json");
        String text = Files.readString(index);
        String file = fileOf(text, vectors, stage, key);
        byte[] data = Files.readAllBytes(vectors.resolve(file));
        String before = sha256(data);
        data[data.length - 1] ^= 0x41; // the highest byte of the last value: its sign or exponent
        Files.write(vectors.resolve(file), data);
        String after = sha256(data);
        Files.writeString(index, text.lines() // equal bytes of another shape have a file of their own
                .map(line -> line.contains("\"file\": \"" + file + "\"") ? line.replace(before, after) : line)
                .collect(Collectors.joining("\n")));
        CommandLine ran = CommandLine.run("verify", folder);
        assertEquals(1, ran.code(), ran.out() + ran.err());
        assertTrue(ran.out().contains("not verified: "), ran.out());
        assertTrue(ran.out().contains("values are wrong"), ran.out());
    }

    /** The file of some case's expected value that is not empty. */
    private static String fileOf(String text, Path vectors, String stage, String key) throws IOException {
        for (String line : text.lines().toList()) {
            if (line.contains("\"stage\": \"" + stage + "\"") && line.contains("\"out\": {")) {
                String out = line.substring(line.indexOf("\"out\": {"));
                int at = out.indexOf("\"" + key + "\": \"");
                if (at < 0) {
                    continue;
                }
                String name = out.substring(at + key.length() + 5, out.indexOf('"', at + key.length() + 5));
                String entry = text.lines().filter(each -> each.strip().startsWith("\"" + name + "\": {")).findFirst()
                        .orElseThrow();
                int place = entry.indexOf("\"file\": \"") + 9;
                String file = entry.substring(place, entry.indexOf('"', place));
                if (Files.size(vectors.resolve(file)) > 0) {
                    return file;
                }
            }
        }
        throw new AssertionError("no case of the stage " + stage + " has an output " + key);
    }

    private static String sha256(byte[] data) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
    }

    @Test
    void damagedSetsAreMistakes() throws IOException {
        Path vectors = exported();
        Path model = vectors.resolve("model.onnx");
        byte[] data = Files.readAllBytes(model);
        data[data.length / 2] ^= 1;
        Files.write(model, data);
        assertMistake("expected SHA-256 ");
        Files.delete(model);
        assertMistake("expected a file of golden vectors, found none");
        Path index = vectors.resolve("index.json");
        String text = Files.readString(index);
        Files.writeString(index, text.replaceFirst("\"version\": 1", "\"version\": 9"));
        assertMistake("version 1");
        Files.writeString(index, text.substring(0, text.length() / 2));
        assertMistake("index.json");
        Files.delete(index);
        assertMistake("index.json: expected golden vectors, found none");
    }

    /** In an exported folder the model lies beside its description and above its vectors. */
    @Test
    void aDescriptionThatIsNotTheModelsIsAMistake() throws IOException {
        Path vectors = exported();
        Files.move(vectors.resolve("model.onnx"), folder.resolve("model.onnx"));
        Path index = vectors.resolve("index.json");
        Files.writeString(index, Files.readString(index).replace("\"model.onnx\"", "\"../model.onnx\""));
        assertMistake("model.json: expected the description that export wrote, found no such file");
        Path file = folder.resolve("model.json");
        String line = Files.readString(index).lines().filter(each -> each.startsWith("\"model\": ")).findFirst().orElseThrow();
        String text = line.substring(line.indexOf('{'), line.lastIndexOf('}') + 1);
        Files.writeString(file, text);
        CommandLine ran = CommandLine.run("verify", folder);
        assertEquals(0, ran.code(), ran.out() + ran.err());
        Files.writeString(file, text.replace("nhwc", "nchw").replace("\"activated\": false", "\"activated\": true"));
        assertMistake("model.json: expected what " + folder.resolve("model.onnx")
                + " says of itself, found another input, output; ");
        Files.writeString(file, text.substring(0, text.length() / 2));
        assertMistake("model.json: ");
        Files.writeString(file, "");
        assertMistake("model.json: ");
        Files.delete(file);
        Files.createDirectory(file);
        assertMistake("model.json: expected the description that export wrote, found a folder");
    }

    private void assertMistake(String part) {
        CommandLine ran = CommandLine.run("verify", folder);
        assertEquals(2, ran.code());
        assertEquals(1, ran.err().lines().count(), ran::err);
        assertTrue(ran.err().contains(part), ran::err);
    }
}
