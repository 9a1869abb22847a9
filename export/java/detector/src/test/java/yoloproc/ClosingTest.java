package yoloproc;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;

import org.junit.jupiter.api.Test;

class ClosingTest {

    @Test
    void aClosedDetectorSaysSo() throws IOException {
        Detector detector = Models.load("cells");
        detector.detect(Models.redAndBlue());
        detector.close();
        detector.close();
        List<Callable<?>> calls = List.of(() -> detector.detect(Models.redAndBlue()),
                () -> detector.detect(Path.of("no-such-file")), () -> detector.detect(new byte[3]),
                () -> detector.detectAll(List.of()), () -> detector.run(new byte[3 * 32 * 32]));
        for (Callable<?> call : calls) {
            IllegalStateException error = assertThrows(IllegalStateException.class, call::call);
            assertTrue(error.getMessage().contains("found it closed"), error.getMessage());
        }
        assertEquals(2, detector.spec().classes().size());
    }

    @Test
    void closingWaitsForThoseWhoWork() throws Exception {
        Usage usage = new Usage("detector");
        AtomicInteger released = new AtomicInteger();
        AtomicBoolean interrupted = new AtomicBoolean();
        usage.enter();
        usage.enter();
        Thread closing = new Thread(() -> {
            usage.close(released::incrementAndGet);
            interrupted.set(Thread.interrupted());
        });
        closing.start();
        while (closing.getState() != Thread.State.WAITING) {
            Thread.onSpinWait();
        }
        assertThrows(IllegalStateException.class, usage::enter); // refused at once, not only when all is closed
        usage.leave();
        closing.interrupt(); // must not end the wait
        closing.join(50);
        assertTrue(closing.isAlive());
        assertEquals(0, released.get());
        usage.leave();
        closing.join();
        usage.close(released::incrementAndGet);
        assertEquals(1, released.get());
        assertTrue(interrupted.get());
    }

    @Test
    void manyThreadsFindTheSame() throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(4);
        try (Detector detector = Models.load("cells")) {
            List<RgbImage> pictures = new ArrayList<>();
            List<List<Detection>> expected = new ArrayList<>();
            for (int i = 0; i < 8; i++) {
                RgbImage picture = Models.with(Models.black(40 + i, 50), 0, 0, 10 + i, 25, i % 2 == 0 ? 0xff0000 : 0xff);
                pictures.add(Models.with(picture, 20, 25, 40 + i, 50, 0xff0000));
                expected.add(detector.detect(pictures.get(i)));
            }
            List<Future<?>> results = new ArrayList<>();
            for (int thread = 0; thread < 4; thread++) {
                int first = thread;
                results.add(threads.submit(() -> {
                    for (int i = first; i < 400; i++) {
                        assertEquals(expected.get(i % 8), detector.detect(pictures.get(i % 8)));
                    }
                    return null;
                }));
            }
            for (Future<?> result : results) {
                result.get();
            }
        } finally {
            threads.shutdown();
        }
    }

    @Test
    void closingUnderLoadEndsWell() throws Exception {
        assertEquals("closed 3 times", fork("close"));
    }

    @Test
    void leavingWithoutClosingEndsWell() throws Exception {
        assertEquals("left", fork("leave"));
    }

    /** What a JVM of its own says that runs {@link #main}; it must exit 0. A crash would take this JVM with it. */
    private static String fork(String word) throws Exception {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        Process process = new ProcessBuilder(java, "-Xshare:auto", "-XX:-CreateCoredumpOnCrash", "-cp",
                System.getProperty("java.class.path"), ClosingTest.class.getName(), word).redirectErrorStream(true).start();
        process.getOutputStream().close();
        String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
        assertTrue(process.waitFor(60, TimeUnit.SECONDS));
        assertEquals(0, process.exitValue(), said);
        return said.strip();
    }

    /** Detects on four threads, and closes or exits meanwhile. */
    public static void main(String[] words) throws Exception {
        for (int round = 0; round < 3; round++) {
            Detector detector = Models.load("cells");
            CountDownLatch working = new CountDownLatch(4);
            List<Thread> threads = new ArrayList<>();
            for (int i = 0; i < 4; i++) {
                Thread thread = new Thread(() -> work(detector, working));
                thread.setDaemon(true);
                thread.start();
                threads.add(thread);
            }
            working.await();
            if (words[0].equals("leave")) {
                System.out.println("left");
                System.exit(0);
            }
            detector.close();
            for (Thread thread : threads) {
                thread.join();
            }
        }
        assertFalse(words[0].equals("leave"));
        System.out.println("closed 3 times");
    }

    private static void work(Detector detector, CountDownLatch working) {
        RgbImage picture = Models.redAndBlue();
        try {
            for (int i = 0;; i++) {
                assertEquals(2, detector.detect(picture).size());
                if (i == 20) {
                    working.countDown();
                }
            }
        } catch (IllegalStateException error) {
            // closed
        }
    }
}
