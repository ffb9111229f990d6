import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest

from etchscope.ensemble import convert_to_onnx
from etchscope.ensemble import onnx as module
from etchscope.foil import BadInput

PAIR = {"classes": ("hip", "top", "misc"), "signal": "hip"}


def _run(content, patches):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(["probabilities", "score"], {"patches": patches})


def _require_same(model, patches):
    content = convert_to_onnx(model)
    told = model.log_probabilities(patches)
    p, score = _run(content, patches.pixels)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p, np.exp(told), atol=1e-4)
    np.testing.assert_allclose(score, model.score(told), atol=1e-4, rtol=1e-4)
    # Any number of patches at once, not only as many as it was made with.
    for n in (1, 3):
        some, _ = _run(content, patches.pixels[:n])
        np.testing.assert_allclose(some, np.exp(told[:n]), atol=1e-4)
    return content


@pytest.mark.parametrize("how", ["stacked", "highest", "multiclass"])
def test_every_way_to_combine_gives_the_same_scores(request, make_labelled, how):
    model = request.getfixturevalue(how).model
    _require_same(model, make_labelled(40, seed=3).patches)


@pytest.mark.parametrize(
    ("name", "lights"),
    [
        ("equivariant", "all"),
        ("azimuth", "all"),
        ("each-lamp", "all"),
        ("plain", "lamps"),
        ("plain", "one"),
        ("azimuth", "lamps"),
    ],
)
def test_every_network_gives_the_same_scores(labelled, make_labelled, train, quick, name, lights):
    training = replace(quick, network=name, lights=lights, epochs=2)
    model = train(labelled, training, **PAIR).model
    _require_same(model, make_labelled(24, seed=3).patches)


def test_the_file_is_sound_and_says_what_its_numbers_mean(stacked):
    whole = onnx.load_model_from_string(convert_to_onnx(stacked.model))
    onnx.checker.check_model(whole, full_check=True)
    told = {p.key: json.loads(p.value) for p in whole.metadata_props}
    assert told == {
        "classes": ["hip", "top", "bottom", "misc"],
        "signal": "hip",
        "azimuths_deg": [0.0, 90.0, 180.0, 270.0],
        "others": ["backlit"],
        "size": 16,
    }
    assert [i.name for i in whole.graph.input] == ["patches"]
    shape = [d.dim_value or d.dim_param for d in whole.graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["n", 5, 16, 16]


def test_far_logits_are_held_back_alike(stacked, labelled):
    def louder(expert):
        return replace(expert, state=expert.state | {k: 9 * expert.state[k] for k in last})

    last = ("head.2.weight", "head.2.bias")
    experts = {n: tuple(map(louder, m)) for n, m in stacked.model.experts.items()}
    loud = replace(stacked.model, experts=experts)
    votes = np.abs(np.concatenate(list(loud.votes(labelled.patches).values())))
    assert (votes > module.FAR).mean() > 0.5
    told = loud.log_probabilities(labelled.patches)
    p, _ = _run(convert_to_onnx(loud), labelled.patches.pixels)
    np.testing.assert_allclose(p, np.exp(told), atol=1e-4)


def test_a_network_that_onnx_cannot_express_is_refused(stacked, monkeypatch):
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("Unsupported: aten::cummax\nand more")

    monkeypatch.setattr(module.torch.onnx, "export", fails)
    with pytest.raises(
        BadInput, match="ONNX export: expected a network that ONNX can express, fou"
    ):
        convert_to_onnx(stacked.model)
