"""Question sets that a user brings: read, asked and scored; nothing of any is part of the project.

tables.py           open or closed questions in a table, FIKA-Bench's form among them
class_folders.py    folders of images by class, perhaps with captions (ShellfishNet's form)
"""
