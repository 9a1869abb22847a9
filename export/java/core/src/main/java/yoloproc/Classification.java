package yoloproc;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * The classes of one picture, the most likely first.
 *
 * @param scores one for each class of the model; their confidences sum to 1
 * @param margin how far the first class is ahead of the second: the difference of their logits, ln(p1 / p2)
 */
public record Classification(List<Score> scores, double margin) {

    /**
     * One class.
     *
     * @param classId    index into the model's classes, from 0
     * @param label      name of the class
     * @param confidence probability, 0 to 1
     */
    public record Score(int classId, String label, double confidence) {

        /** For people: {@code A 0.9812}; the same in every locale. */
        @Override
        public String toString() {
            return String.format(Locale.ROOT, "%s %.4f", label, confidence);
        }
    }

    /** Copies the list. */
    public Classification {
        scores = List.copyOf(scores);
    }

    /** The most likely class. */
    public Score best() {
        return scores.get(0);
    }

    /** The most likely classes: so many, or all where there are fewer. */
    public List<Score> top(int count) {
        return scores.subList(0, Math.min(count, scores.size()));
    }

    /** The most likely class, for people. */
    @Override
    public String toString() {
        return best().toString();
    }

    /**
     * What the outputs of a classifier say of one picture. Of equal classes the lower index comes first.
     *
     * @param outputs   of some pictures, C values each
     * @param at        where the picture's values begin
     * @param classes   C names
     * @param activated whether they are probabilities and not raw logits
     * @throws IllegalArgumentException NaN among them
     */
    static Classification of(float[] outputs, int at, List<String> classes, boolean activated) {
        double[] shares = shares(outputs, at, classes.size(), activated);
        List<Integer> order = new ArrayList<>();
        for (int i = 0; i < shares.length; i++) {
            order.add(i);
        }
        // By the outputs, not the probabilities: far below the first these are all 0.
        order.sort((a, b) -> Float.compare(outputs[at + b], outputs[at + a]));
        List<Score> scores = new ArrayList<>();
        for (int i : order) {
            scores.add(new Score(i, classes.get(i), shares[i]));
        }
        double first = outputs[at + order.get(0)];
        double second = outputs[at + order.get(1)];
        return new Classification(scores, activated ? Math.log(first) - Math.log(second) : first - second);
    }

    /** Probabilities in double precision. */
    private static double[] shares(float[] outputs, int at, int count, boolean activated) {
        double[] shares = new double[count];
        double largest = Double.NEGATIVE_INFINITY;
        for (int i = 0; i < count; i++) {
            if (Float.isNaN(outputs[at + i])) {
                throw new IllegalArgumentException("outputs: expected numbers from the network, found NaN of class " + i
                        + "; its weights are damaged or its training diverged");
            }
            largest = Math.max(largest, outputs[at + i]);
        }
        double sum = 0;
        for (int i = 0; i < count; i++) {
            shares[i] = activated ? outputs[at + i] : Math.exp(outputs[at + i] - largest);
            sum += shares[i];
        }
        for (int i = 0; i < count && !activated; i++) {
            shares[i] /= sum;
        }
        return shares;
    }
}
