"""A door for people with a network and a shell: ``python -m resnet_edu table resnet50``.

``table``, ``draw`` and ``compare`` take a name of ours, a name of torchvision's, or ``path/to/file.py:Net``.
"""
