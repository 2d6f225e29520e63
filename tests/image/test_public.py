"""Is everything that the package offers there, and nothing else?"""

import pytest

import bootslang
from bootslang import image, kernel


@pytest.mark.parametrize("name", sorted(bootslang.__all__))
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(bootslang, name)


def test_images_are_those_of_the_image_package() -> None:
    assert bootslang.Image is image.Image
    assert bootslang.verify is image.verify
    assert bootslang.Kernel is kernel.Kernel


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="module 'bootslang' has no attribute 'Disk'"):
        _ = bootslang.Disk
