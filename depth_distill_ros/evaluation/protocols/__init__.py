"""Published benchmarks: of affine-invariant depth by the protocol of Marigold (Ke et al., 2024), of
outlines, mattes, marked points and video.

A benchmark is data: a JSON file in `definitions/` says what is scored (`tasks.py`), where its files
are, how they are decoded, cropped and masked, and how many belong to it (`definition.py`). One
loader reads them all (`files.py`, `pairing.py`, `decoding.py`, `dataset.py`), one function scores an
image (`scoring.py`, or `unaligned.py` where nothing is fitted) or a clip (`clips.py`), for this
package's models and for any other (`predictors.py`).
"""
