"""The words of the platform: pure values and protocols, no input or output."""
