"""Whatever codec made an archive, its tenant computes what the restored model does. Run: pytest tests/tenants"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from deltakit.compress.codec import CODECS, parse_codec
from deltakit.compress.run.files import compress_files
from deltakit.compress.run.request import Request
from deltakit.tenants import ResidentBase
from support.tenants import alone, error, folder, together, written


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    made = tmp_path_factory.mktemp("codecs")
    base = folder(made / "base", "llama", 0)
    return base, folder(made / "tuned", "llama", 1, base)


@pytest.mark.parametrize("hold", ["fast", "packed", "factors"])
@pytest.mark.parametrize("codec", CODECS.names())
def test_the_tenant_of_an_archive_computes_what_the_archive_says(
    pair: tuple[Path, Path], tmp_path: Path, codec: str, hold: str
) -> None:
    base, tuned = pair
    ratio = None if parse_codec(codec).fixed else 4.0
    compress_files(Request(str(base), str(tuned), tmp_path / "a", codec, ratio=ratio))
    text = f"{base} + {tmp_path / 'a'}"
    resident = ResidentBase.open(str(base), hold=hold)
    resident.attach("t", text)
    asked = torch.randint(4, 88, (2, 7), generator=torch.Generator().manual_seed(0))
    got = together(resident, ["t", None], asked)
    for row, model in enumerate((written(text, rounded=False), written(str(base)))):
        assert error(got[row], alone(model, asked[row])) < 1e-5
