#!/usr/bin/env bash
#BSUB -J blockseg-driver
#BSUB -n 2
#BSUB -M 8GB
#BSUB -W 24:00
#BSUB -r
#BSUB -o ./blockseg-driver-%J.log

timeout --signal=TERM 86100 python -m blockseg_cli run 'my brain.zarr' --cluster lsf.yaml
code=$?
if [ $code -eq 124 ]; then
    bsub < /home/me/submit.sh
fi
exit $code
