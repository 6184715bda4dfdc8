#!/usr/bin/env bash

#BSUB -J blockseg
#BSUB -n 8
#BSUB -R "span[hosts=1]"
#BSUB -M 32000000
#BSUB -W 12:00
#BSUB -gpu "num=1"

python -m distributed.cli.dask_worker tls://SCHEDULER:8786 --name WORKER --nthreads 2 --memory-limit 29.80GiB --nanny --death-timeout 120 --no-dashboard --lifetime 42600s --lifetime-stagger 300s --resources GPU=1
