import shutil

import pytest
import torch
from safetensors.torch import load_file

from models.text import conversion
from models.text import networks as text_networks

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture
def pickled(saved, tmp_path):
    """A classifier as they used to be published."""
    folder = tmp_path / "pickled"
    shutil.copytree(saved / "xlm-roberta", folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def test_a_pickle_becomes_a_network_of_the_app(pickled, tmp_path, monkeypatch, capsys):
    conversion.main([str(pickled), str(tmp_path / "new" / "mine")])
    assert f"LRP_TEXT_MODELS={tmp_path / 'new'}" in capsys.readouterr().out
    same = text_networks.load("hf:xlm-roberta")
    monkeypatch.setenv("LRP_TEXT_MODELS", str(tmp_path / "new"))
    ids = text_networks.network("hf:mine").read("A great film!").ids
    with torch.inference_mode():
        assert torch.equal(text_networks.load("hf:mine")(ids).logits, same(ids).logits)


def test_what_cannot_be_opened_is_told(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="empty cannot be opened: "):
        conversion.main([str(tmp_path / "empty"), str(tmp_path / "new")])
    assert not (tmp_path / "new").exists()
