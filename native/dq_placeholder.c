int dq_placeholder(void); int dq_placeholder(void){return 0;}
