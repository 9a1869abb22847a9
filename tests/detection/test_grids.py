"""Anchors found from sizes, and shared out over grids."""

import numpy as np
import pytest

from yolo_proc.detection.grids import Grid, _kmeans, grids_for, grids_over, kmeans_anchors, mean_best_iou, share_anchors
from yolo_proc.errors import ConfigError, GeneratorError


def clusters(seed=0, each=200):
    rng = np.random.default_rng(seed)
    centres = np.array([[10.0, 12.0], [60.0, 20.0], [25.0, 80.0], [90.0, 90.0]])
    return centres, (centres[:, None] * rng.normal(1, 0.03, (4, each, 2))).reshape(-1, 2)


def test_kmeans_finds_clusters_by_ascending_area():
    centres, sizes = clusters()
    found = kmeans_anchors(sizes, 4, np.random.default_rng(1))
    np.testing.assert_allclose(found, centres[np.argsort(centres.prod(axis=1))], rtol=0.02)


def test_one_anchor_is_the_mean():
    _, sizes = clusters()
    np.testing.assert_allclose(kmeans_anchors(sizes, 1, np.random.default_rng(0)), [sizes.mean(axis=0)])


def test_kmeans_is_a_function_of_its_arguments():
    _, sizes = clusters()
    first = kmeans_anchors(sizes, 7, np.random.default_rng(5))
    np.testing.assert_array_equal(first, kmeans_anchors(sizes.copy(), 7, np.random.default_rng(5)))


def test_the_distance_is_of_shapes_not_of_pixels():
    """Nine large boxes that differ by 20 px and one small one: squared pixels would split the large ones."""
    sizes = np.array([[200.0 + 20 * n, 200.0] for n in range(9)] + [[8.0, 8.0]])
    found = kmeans_anchors(sizes, 2, np.random.default_rng(0))
    np.testing.assert_allclose(found[0], [8, 8])


def test_more_anchors_fit_better():
    rng = np.random.default_rng(3)
    sizes = np.exp(rng.uniform(2, 5, (1000, 2)))
    fits = [mean_best_iou(sizes, kmeans_anchors(sizes, k, np.random.default_rng(0))) for k in (1, 3, 9)]
    assert fits[0] + 0.1 < fits[1] < fits[2] - 0.1
    picked = [mean_best_iou(sizes, rng.choice(sizes, 9)) for _ in range(20)]
    assert fits[2] > max(picked)


def test_the_best_of_several_tries_is_taken():
    sizes = np.exp(np.random.default_rng(3).uniform(2, 5, (300, 2)))

    def fit(tries, seed):
        return mean_best_iou(sizes, kmeans_anchors(sizes, 6, np.random.default_rng(seed), tries=tries))

    gains = [fit(4, seed) - fit(1, seed) for seed in range(6)]  # the first try is the same
    assert min(gains) >= 0
    assert max(gains) > 0


def test_a_cluster_without_members_keeps_its_centre():
    start = np.array([[10.0, 10.0], [900.0, 900.0]])  # the second is never the nearest
    found = _kmeans(np.array([[8.0, 8.0], [10.0, 12.0]]), start, 5)
    np.testing.assert_array_equal(found, [[9, 10], [900, 900]])


def test_fewer_distinct_sizes_than_anchors():
    sizes = np.array([[40.0, 30.0], [10.0, 10.0], [40.0, 30.0]])
    found = kmeans_anchors(sizes, 4, np.random.default_rng(0))
    np.testing.assert_array_equal(found, [[10, 10], [40, 30], [40, 30], [40, 30]])


@pytest.mark.parametrize("sizes", [[], [[10.0, 0.0]], [[np.nan, 3.0]]])
def test_sizes_that_give_no_anchors_are_refused(sizes):
    with pytest.raises(GeneratorError, match="positive sides"):
        kmeans_anchors(sizes, 2, np.random.default_rng(0))


def test_small_anchors_go_to_the_first_grid():
    anchors = [(90, 90), (10, 10), (30, 20), (50, 50), (20, 31)]
    assert share_anchors(anchors, 2) == (((10, 10), (30, 20), (20, 31)), ((50, 50), (90, 90)))
    with pytest.raises(ConfigError, match="at least one for each of 3 strides, found 2"):
        share_anchors(anchors[:2], 3)


def test_grids_cover_the_picture():
    grids = grids_for(96, 64, (32, 8), [(40, 40), (10, 10)])
    assert grids == (Grid(8, 12, 8, ((10.0, 10.0),)), Grid(32, 3, 2, ((40.0, 40.0),)))
    with pytest.raises(ConfigError, match="multiples of the stride 32"):
        grids_for(96, 60, (32,), [(40, 40)])


def test_the_same_grids_over_another_frame():
    anchors = [(40, 40), (10, 10)]
    grids = grids_for(64, 64, (32, 8), anchors)
    assert grids_over(grids, 96, 32) == grids_for(96, 32, (32, 8), anchors)
    assert grids_over(grids, 64, 64) == grids
    for size, near in {(96, 33): "96x32", (100, 60): "96x64", (0, 64): "32x64", (-32, 64): "32x64"}.items():
        found = "{}x{}".format(*size)
        line = f"input-size: expected multiples of the stride 32, found {found}; the nearest is {near}"
        with pytest.raises(ConfigError, match=line):
            grids_over(grids, *size)
