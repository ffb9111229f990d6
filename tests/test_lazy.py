import subprocess
import sys
from importlib import import_module
from pkgutil import iter_modules

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "etchscope.ensemble",
        "etchscope.foil",
        "etchscope.geometry",
        "etchscope.learn",
        "etchscope.preselect",
    ],
)
def test_every_name_of_a_package_is_found_and_none_is_hidden_by_a_module(name):
    package = import_module(name)
    modules = {m.name for m in iter_modules(package.__path__)}
    for module in modules:
        import_module(f"{name}.{module}")
    assert not set(package.__all__) & modules
    for one in package.__all__:
        assert getattr(package, one).__class__.__name__ != "module"
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'odd'"):
        package.odd  # noqa: B018


@pytest.mark.parametrize(
    ("line", "unused"),
    [
        ("from etchscope.foil import BadInput", {"numpy", "pandas", "pydantic", "scipy"}),
        ("from etchscope.foil import errors", {"numpy", "pandas", "pydantic", "scipy"}),
        ("from etchscope.preselect import FindSettings", {"cv2", "numba", "pandas", "scipy"}),
    ],
)
def test_a_light_name_loads_no_heavy_package(line, unused):
    code = f"{line}; import sys; print(sorted({unused!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_finder_is_ready_without_the_compiler_of_pytorch():
    # Building the network for its shapes alone once loaded the compiler, a second for each process.
    line = "from etchscope.run.finder import finder_of; finder_of()"
    unused = {"torch._dynamo", "torch.fx.experimental.symbolic_shapes"}
    code = f"{line}; import sys; print(sorted({unused!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
