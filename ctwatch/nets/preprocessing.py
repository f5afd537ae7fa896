"""The one preprocessing: what happens to a decoded canvas before a network sees it, in training and in the daemon."""

import torch
from torch import Tensor

from ctwatch.domain import Preprocessing


def centre(outer: int, inner: int) -> int:
    """Return the first row (or column) of a centred window; an odd remainder goes to the far side."""
    return (outer - inner) // 2


def prepare(pixels: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Crop the centre, scale to 0..1 and normalise per channel (Norouzzadeh et al. 2018, SI).

    Args:
        pixels: uint8 (N, 3, H, W), canvases as the decoder made them.
        preprocessing: Its crop must not be larger than the canvas.

    Returns:
        float32 (N, 3, h, w) on the device of `pixels`.
    """
    tall, wide = preprocessing.crop
    top, left = centre(pixels.shape[-2], tall), centre(pixels.shape[-1], wide)
    return normalise(pixels[..., top : top + tall, left : left + wide], preprocessing.mean, preprocessing.std)


def normalise(pixels: Tensor, mean: tuple[float, float, float], std: tuple[float, float, float]) -> Tensor:
    """Scale uint8 (..., 3, h, w) to 0..1, subtract the mean and divide by the standard deviation, as float32."""
    scale = torch.tensor(std, dtype=torch.float32, device=pixels.device).mul(255).view(3, 1, 1)
    shift = torch.tensor(mean, dtype=torch.float32, device=pixels.device).mul(255).view(3, 1, 1)
    return pixels.to(torch.float32).sub(shift).div(scale)
