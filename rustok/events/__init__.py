"""The log (module `outbox`): levels of the transport, the sequencer, consumers and their checkpoints."""
