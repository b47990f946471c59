"""The folder that `nnUNet_extTrainer` names, so that the stock `nnUNetv2_train` finds our trainers."""
