"""Keras layers: recurrent cells, attention, encoder, decoder and readout. Keras only."""
