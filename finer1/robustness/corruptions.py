"""Ten ways to damage an image, at five severities each, under the names that are usual for them.

They are this project's own and not ImageNet-C: of that benchmark (Hendrycks & Dietterich, ICLR
2019) they take names and severities, not its code, its values or its images, so that accuracies
under them compare models with each other, never with published ImageNet-C figures.

Images of any size are damaged alike. A length (radius of a blur, its track, a cloud of fog) is a
share of the shorter side. Grains of noise are one pixel up to twice REFERENCE_SIDE, and then grow
with the image; pixelate keeps a share of the pixels of an image of at most REFERENCE_SIDE:
otherwise what makes a large picture small for its model would undo the damage. JPEG alone does not
scale, since its blocks are 8 pixels wide in every image.

What is drawn (noise, track, clouds) depends on seed, image and corruption, not on severity: a
higher severity is the same damage, stronger. Only the photons of shot_noise are counted anew.
"""

import hashlib
import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from finer1.draws import draw
from finer1.images import decode_image

Pixels = NDArray[np.float64]
"""[rows, columns, 3], RGB in 0..1."""
Corrupt = Callable[[Pixels, float, np.random.Generator], Pixels]
"""Pixels, strength and what is drawn from -> damaged pixels, not yet clipped."""

RECIPE = 1
"""To be raised with any change that changes a damaged image."""
REFERENCE_SIDE = 224
"""Shorter side, pixels, up to which noise and pixelate work on single pixels: models see about as
many."""
FOG_COLOUR = 0.9
FOG_OCTAVES = 5
MAX_TRACK_ANGLE = np.pi / 4
"""Largest angle of a motion to the horizontal."""
POINTS_PER_PIXEL = 8
"""Points per pixel and direction by which the shape of a blur is measured."""


def corrupt(image: Image.Image, name: str, severity: int, seed: int, image_id: str) -> Image.Image:
    """The RGB image with the corruption `name` at `severity` 1 to 5, of equal size.

    Severity 0 gives the image itself. Equal arguments give equal pixels.
    """
    if severity == 0:
        return image
    function, strengths = CORRUPTIONS[name]
    generator = np.random.default_rng(draw(seed, "corruption", name, image_id))
    pixels = np.asarray(image, dtype=np.float64) / 255
    damaged = function(pixels, strengths[severity - 1], generator)
    return Image.fromarray(np.rint(np.clip(damaged, 0, 1) * 255).astype(np.uint8))


def corrupted_sha256(sha256: str, name: str, severity: int, seed: int, image_id: str) -> str:
    """Stands for the damaged image as `sha256` does for the image's file; severity 0 keeps that."""
    if severity == 0:
        return sha256
    parts = ("corrupted", str(RECIPE), sha256, name, str(severity), str(seed), image_id)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _gaussian_noise(pixels: Pixels, std: float, generator: np.random.Generator) -> Pixels:
    return pixels + std * _grains(pixels, generator.standard_normal)


def _shot_noise(pixels: Pixels, photons: float, generator: np.random.Generator) -> Pixels:
    """Poisson noise of a sensor on which white is `photons` photons."""

    def sample(shape: tuple[int, ...]) -> Pixels:
        side = _grain_side(pixels)
        expected = photons * pixels[::side, ::side]
        return (generator.poisson(expected) - expected) / photons

    return pixels + _grains(pixels, sample)


def _impulse_noise(pixels: Pixels, share: float, generator: np.random.Generator) -> Pixels:
    """Salt and pepper: `share` of all values become 0 or 1."""
    uniform = _grains(pixels, generator.random)
    salt = _grains(pixels, generator.random) < 0.5
    return np.where(uniform < share, salt.astype(np.float64), pixels)


def _defocus_blur(pixels: Pixels, radius: float, generator: np.random.Generator) -> Pixels:
    """Every point becomes a disk; `radius` is a share of the shorter side."""
    # Half a pixel is what a point has anyway: without it small images would stay as they are.
    pixel_radius = 0.5 + radius * _short_side(pixels)
    steps = np.arange(-pixel_radius, pixel_radius, 1 / POINTS_PER_PIXEL)
    rows, columns = np.meshgrid(steps, steps, indexing="ij")
    inside = rows**2 + columns**2 <= pixel_radius**2
    return _convolve(pixels, _kernel(rows[inside], columns[inside]))


def _motion_blur(pixels: Pixels, length: float, generator: np.random.Generator) -> Pixels:
    """Every point becomes a straight track; `length` is a share of the shorter side."""
    angle = generator.uniform(-MAX_TRACK_ANGLE, MAX_TRACK_ANGLE)
    half = (1 + length * _short_side(pixels)) / 2
    track = np.arange(-half, half, 1 / POINTS_PER_PIXEL)
    return _convolve(pixels, _kernel(track * np.sin(angle), track * np.cos(angle)))


def _fog(pixels: Pixels, density: float, generator: np.random.Generator) -> Pixels:
    """Clouds of one light grey; `density` is their share where they are thickest.

    Where they are thinnest it is half of that.
    """
    clouds = density * (0.5 + 0.5 * _clouds(pixels, generator))[..., None]
    return pixels * (1 - clouds) + FOG_COLOUR * clouds


def _brightness(pixels: Pixels, added: float, generator: np.random.Generator) -> Pixels:
    """The value of hue, saturation and value is raised by `added`; black becomes grey."""
    value = pixels.max(axis=2, keepdims=True)
    raised = np.minimum(value + added, 1)
    # Black has no hue, so that all three channels are raised alike.
    return np.where(value > 0, pixels * raised / np.maximum(value, 1 / 255), raised)


def _contrast(pixels: Pixels, kept: float, generator: np.random.Generator) -> Pixels:
    """Everything moves towards the mean colour; `kept` is the share of the distance that stays."""
    mean = pixels.mean(axis=(0, 1))
    return mean + kept * (pixels - mean)


def _pixelate(pixels: Pixels, kept: float, generator: np.random.Generator) -> Pixels:
    """Blocks of one colour; `kept` is the share of the pixels that stays along each side."""
    image = _to_image(pixels)
    share = kept * min(1, REFERENCE_SIDE / _short_side(pixels))
    small = image.resize(
        (max(1, round(share * image.width)), max(1, round(share * image.height))),
        Image.Resampling.BOX,
    )
    return _to_pixels(small.resize(image.size, Image.Resampling.NEAREST))


def _jpeg_compression(pixels: Pixels, quality: float, generator: np.random.Generator) -> Pixels:
    file = io.BytesIO()
    _to_image(pixels).save(file, "JPEG", quality=int(quality))
    return _to_pixels(decode_image(file.getvalue(), "the compressed image"))


CORRUPTIONS: dict[str, tuple[Corrupt, tuple[float, ...]]] = {
    "gaussian_noise": (_gaussian_noise, (0.06, 0.10, 0.16, 0.24, 0.36)),
    "shot_noise": (_shot_noise, (64, 32, 16, 8, 4)),
    "impulse_noise": (_impulse_noise, (0.02, 0.05, 0.10, 0.18, 0.28)),
    "defocus_blur": (_defocus_blur, (0.010, 0.016, 0.024, 0.034, 0.046)),
    "motion_blur": (_motion_blur, (0.04, 0.07, 0.10, 0.14, 0.18)),
    "fog": (_fog, (0.35, 0.50, 0.64, 0.76, 0.86)),
    "brightness": (_brightness, (0.1, 0.2, 0.3, 0.4, 0.5)),
    "contrast": (_contrast, (0.50, 0.35, 0.22, 0.13, 0.07)),
    "pixelate": (_pixelate, (0.60, 0.48, 0.38, 0.29, 0.22)),
    "jpeg_compression": (_jpeg_compression, (30, 20, 14, 9, 6)),
}
"""Name -> how, and its strength at severities 1 to 5; the functions say what the strength is."""


def _short_side(pixels: Pixels) -> int:
    return min(pixels.shape[:2])


def _grain_side(pixels: Pixels) -> int:
    return max(1, _short_side(pixels) // REFERENCE_SIDE)


def _grains(pixels: Pixels, sample: Callable[[tuple[int, ...]], Pixels]) -> Pixels:
    """A draw per grain and channel, as large as `pixels`."""
    height, width, channels = pixels.shape
    side = _grain_side(pixels)
    drawn = sample((-(-height // side), -(-width // side), channels))
    return drawn.repeat(side, axis=0).repeat(side, axis=1)[:height, :width]


def _clouds(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """[rows, columns] in 0..1: smooth noise of halving wavelength and height, summed."""
    height, width = pixels.shape[:2]
    total = np.zeros((height, width))
    for octave in range(FOG_OCTAVES):
        # The longest wavelength is half the shorter side.
        cell = _short_side(pixels) / 2 ** (octave + 1)
        grid = generator.random((int(height / cell) + 2, int(width / cell) + 2))
        layer = Image.fromarray(grid.astype(np.float32))
        box = (0.5, 0.5, 0.5 + width / cell, 0.5 + height / cell)
        smooth = layer.resize((width, height), Image.Resampling.BICUBIC, box=box)
        total += np.asarray(smooth, dtype=np.float64) / 2**octave
    low, high = total.min(), total.max()
    return (total - low) / (high - low)


def _kernel(rows: Pixels, columns: Pixels) -> Pixels:
    """Weights of the pixels around the middle for a shape given by points, pixels off it.

    [2 r + 1, 2 r + 1], sum 1; a point counts for its four nearest pixels, the nearer the more.
    """
    reach = int(np.ceil(max(np.abs(rows).max(), np.abs(columns).max()))) + 1
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    down, right = rows - top, columns - left
    for row, row_weight in ((top, 1 - down), (top + 1, down)):
        for column, column_weight in ((left, 1 - right), (left + 1, right)):
            np.add.at(kernel, (row + reach, column + reach), row_weight * column_weight)
    return np.asarray(kernel / kernel.sum())


def _convolve(pixels: Pixels, kernel: Pixels) -> Pixels:
    """Each channel convolved with the kernel; beyond the border the image is mirrored."""
    reach = kernel.shape[0] // 2
    padded = np.pad(pixels, ((reach, reach), (reach, reach), (0, 0)), "symmetric")
    size = padded.shape[:2]
    response = np.fft.rfft2(kernel, size)
    for channel in range(3):  # one by one, for the memory that large photographs take
        padded[..., channel] = np.fft.irfft2(np.fft.rfft2(padded[..., channel]) * response, size)
    # Before row and column 2 * reach the far border has come round.
    return padded[2 * reach :, 2 * reach :]


def _to_image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(np.rint(pixels * 255).astype(np.uint8))


def _to_pixels(image: Image.Image) -> Pixels:
    return np.asarray(image, dtype=np.float64) / 255
