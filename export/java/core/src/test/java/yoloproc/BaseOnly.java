package yoloproc;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** What a JVM without any module but {@code java.base} does; started by {@link BaseOnlyTest}. */
final class BaseOnly {

    private BaseOnly() {
    }

    public static void main(String[] arguments) throws Exception {
        if (ModuleLayer.boot().findModule("java.desktop").isPresent()) {
            throw new IllegalStateException("expected a JVM without java.desktop");
        }
        GoldenVectors vectors = GoldenVectors.read(TestFiles.vectors());
        Replay replay = new Replay(vectors, null);
        List<String> differences = new ArrayList<>();
        int count = 0;
        for (GoldenVectors.Case each : vectors.cases()) {
            if (!each.stage().equals("model") && !each.stage().equals("picture")) {
                differences.addAll(replay.differences(each));
                count++;
            }
        }
        Scredit.read(Scredit.write(List.of(new Detection(0, "A", 1, 0, 0, 9, 9)), 9, 9), "a.json");
        Json.read(Json.write(Map.of()), "x");
        System.out.println(count + " cases, differences: " + differences);
    }
}
