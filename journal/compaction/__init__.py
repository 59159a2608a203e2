"""Rewriting sealed segments without their erased content, so that its space is given back."""
