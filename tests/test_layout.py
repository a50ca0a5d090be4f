"""Every module with functions has its test file: package/a/b.py is tested by tests/a/test_b.py."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "mri2qmap_bids"

BY_THE_WHOLE = {
    # Tested through what they are parts of.
    "dataset/index.py": "dataset/test_query.py",
    "pulseq/rows.py": "pulseq/test_reader.py",
    "recon/methods/gridding.py": "recon/test_reconstruct.py",
    "recon/methods/llr.py": "recon/methods/test_penalised.py",
    "recon/methods/regularised.py": "recon/methods/test_penalised.py",
    "recon/methods/subspace.py": "recon/methods/test_least_squares.py",
    "recon/part.py": "recon/test_reconstruct.py",
    "recon/encoding/toeplitz.py": "recon/encoding/test_forward.py",
    "recon/encoding/triton_loops.py": "recon/encoding/test_fused.py",
    "recon/physics/sequences/bssfp.py": "recon/physics/test_sequences.py",
    "recon/physics/sequences/fisp.py": "recon/physics/test_sequences.py",
    "recon/physics/sequences/look_locker.py": "recon/physics/test_sequences.py",
    "recon/physics/sequences/multi_echo_spin_echo.py": "recon/physics/test_sequences.py",
    "recon/physics/sequences/prepared_gradient_echo.py": "recon/physics/test_sequences.py",
    "recon/physics/sequences/qti.py": "recon/physics/test_sequences.py",
    "recon/physics/sequences/spin_echo.py": "recon/physics/test_sequences.py",
    "recon/physics/sequences/spoiled_gradient_echo.py": "recon/physics/test_sequences.py",
    "simulate/arguments.py": "test_tools.py",
    "simulate/arm_order.py": "simulate/test_trajectory.py",
    "training/arguments.py": "test_tools.py",
    "workflow/step.py": "workflow/test_reconstruction.py",
}
"""Modules without a test file of their own, and the one that covers them."""


def modules_with_functions():
    for path in sorted(PACKAGE.rglob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if path.name != "__init__.py" and any(isinstance(n, ast.FunctionDef) for n in nodes):
            yield path.relative_to(PACKAGE)


def file_of_tests(module: Path) -> Path:
    return ROOT / "tests" / module.parent / f"test_{module.name}"


@pytest.mark.parametrize("module", list(modules_with_functions()), ids=str)
def test_every_module_with_functions_has_its_test_file(module):
    covered_by = BY_THE_WHOLE.get(module.as_posix())
    if covered_by is None:
        assert file_of_tests(module).is_file(), (
            f"{module} has no tests/{module.parent}/test_{module.name}"
        )
    else:
        assert (ROOT / "tests" / covered_by).is_file()


def test_exceptions_are_needed():
    for name in BY_THE_WHOLE:
        assert (PACKAGE / name).is_file(), f"{name} is gone"
        assert not file_of_tests(Path(name)).is_file(), f"{name} has its own test file now"
