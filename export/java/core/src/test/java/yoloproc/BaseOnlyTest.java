package yoloproc;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;

import org.junit.jupiter.api.Test;

class BaseOnlyTest {

    @Test
    void allButPicturesRunsWithoutOtherModules() throws Exception {
        Path classes = TestFiles.module().resolve("target");
        Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "--limit-modules", "java.base", "-Dbasedir=" + TestFiles.module(), "-XX:TieredStopAtLevel=1", "-cp",
                classes.resolve("classes") + File.pathSeparator + classes.resolve("test-classes"), "yoloproc.BaseOnly")
                .redirectErrorStream(true).start();
        String told = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertTrue(process.waitFor(60, TimeUnit.SECONDS), told);
        assertTrue(process.exitValue() == 0 && told.matches("(?s)[1-9]\\d+ cases, differences: \\[\\]\\s*"), told);
    }
}
