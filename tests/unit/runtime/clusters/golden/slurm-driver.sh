#!/usr/bin/env bash
#SBATCH -J blockseg-driver
#SBATCH -n 1
#SBATCH --cpus-per-task=2
#SBATCH --mem=8G
#SBATCH -t 24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH -o ./blockseg-driver-%j.log

timeout --signal=TERM 86100 python -m blockseg_cli run 'my brain.zarr' --cluster slurm.yaml
code=$?
if [ $code -eq 124 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit $code
