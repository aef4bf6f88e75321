"""Files of weights from elsewhere, as arrays: no Keras, no torch, no pickle is run."""
