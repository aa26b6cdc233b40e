"""Recognise what images show with a trained model.

    from finer1.recognition import Recognizer

    recognizer = Recognizer.load("models/tapo")
    found = recognizer.predict("photo.jpg", candidates=["red crossbill", "pine grosbeak"])
    print(found.answer, found.sections["comparison"])

Decoder, prompts, parser and engine are those of the evaluation.
"""

from finer1.asking import Asking
from finer1.recognition.reading import Recognition
from finer1.recognition.recognizer import Recognizer

__all__ = ["Asking", "Recognition", "Recognizer"]
